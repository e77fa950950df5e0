/** The schedules of the harness: three that run, and others that only have to be kept, changed at every round. */
import { z } from 'zod';
import { defineJob, type Job } from '../../jobs/define.ts';
import type { Registry } from '../../jobs/registry.ts';

/** Job types of the folder that have a schedule; the period of their ticks. */
export const ticks = { tick: 2_000, 'tick-once': 5_000, 'tick-skip': 5_000 } as const;
export type TickType = keyof typeof ticks;
export const tickTypes = Object.keys(ticks) as readonly TickType[];

const keptCount = 17;

/** Later rounds are later releases. */
export const releaseOf = (round: number): string => `1.0.${round}`;

/** What a round declares beside the running ones: none of them ticks while a run lasts. */
export function keptCrons(round: number): ReadonlyMap<string, { readonly cron: string; readonly timeZone: string }> {
  return new Map(
    Array.from({ length: keptCount }, (_, n) => {
      const name = `kept-${n + 1}`;
      // The last two stay as they are: a leap day, and an hour that a spring-forward skips.
      if (n === keptCount - 1) return [name, { cron: '0 0 29 2 *', timeZone: 'UTC' }];
      if (n === keptCount - 2) return [name, { cron: '30 2 * 3 0', timeZone: 'Europe/Berlin' }];
      return [name, { cron: `${(round + n) % 60} 3 1 ${1 + ((round + n) % 12)} *`, timeZone: 'Europe/Berlin' }];
    }),
  );
}

/** The job types of the folder and those of the round, for whoever declares schedules. */
export function withSchedules(registry: Registry, round: number): Registry {
  const kept = Array.from(keptCrons(round), ([name, rule]): [string, Job] => [
    name,
    defineJob({
      name,
      summary: 'A schedule that has no run in this test.',
      payload: z.strictObject({}),
      result: z.unknown(),
      schedule: { ...rule, payload: {} },
    }),
  ]);
  return { ...registry, jobs: new Map([...registry.jobs, ...kept]) };
}
