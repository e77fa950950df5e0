/** When BullMQ's schedulers tick next: as `runtime/cron.ts` says, on both sides of a change of the clock. */
import { defaultRepeatStrategy, type RepeatOptions } from 'bullmq';
import { nextTick } from '../runtime/cron.ts';

/** The tick after `millis`; undefined where the rule has none. Schedulers that are not ours may ask for what BullMQ alone does. */
export function tickAfter(millis: number, options: RepeatOptions): number | undefined {
  const { immediately, pattern, startDate, tz } = options;
  if (pattern === undefined || tz === undefined || immediately === true || startDate !== undefined)
    return defaultRepeatStrategy(millis, options);
  return nextTick({ cron: pattern, timeZone: tz }, millis);
}
