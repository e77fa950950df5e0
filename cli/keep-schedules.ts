/** The schedules that the job types of this release declare, kept by every process of the fleet. */
import type { Backend, Chore } from '../backends/backend.ts';
import { createSchedules } from '../backends/schedules.ts';
import { scheduleOwner } from '../backends/secret-owner.ts';
import type { Registry } from '../jobs/registry.ts';
import { declaredSchedules } from '../jobs/schedule.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { SecretBox } from '../runtime/secret-box.ts';

export interface KeptSchedules {
  /** For the keeper. */
  readonly chore: Chore;
  /** Resolves when the first look at them, begun with the process, is over. */
  readonly atBoot: Promise<void>;
}

/** Begins at once, beside the rest of the start: a process is ready before its schedules are. */
export function keepSchedules(parts: {
  readonly backend: Backend;
  readonly registry: Registry;
  readonly secrets?: SecretBox | undefined;
  readonly metrics: Pick<Metrics, 'scheduleLate'>;
  readonly log: Log;
  readonly instance: string;
  readonly release: string;
}): KeptSchedules {
  const { backend, registry, secrets, metrics, log, instance, release } = parts;
  // Sealed anew it would be another schedule, which is armed anew.
  const lockOf = (type: string) => secrets?.lockFor(scheduleOwner(type), { repeatable: true });
  const declared = declaredSchedules(registry.jobs.values(), lockOf);
  const withheld = [...registry.jobs.values()]
    .filter(({ name, schedule }) => schedule !== undefined && !declared.some(({ type }) => type === name))
    .map(({ name }) => name);
  if (withheld.length > 0) log.warn({ types: withheld }, 'schedules with secrets stay as they are: no ENCRYPTION_KEY');
  const schedules = createSchedules({
    backend,
    declared,
    withheld,
    release,
    instance,
    onLate: (schedule, lateS) => metrics.scheduleLate.labels(schedule).set(lateS),
    onAlert: (schedule, slot, lateS) =>
      log.error(
        { schedule, slot: new Date(slot).toISOString(), lateS },
        'a tick of a schedule is late; is a worker there?',
      ),
    onChange: (schedule, what) => log.info({ schedule }, `schedule ${what}`),
  });
  const atBoot = schedules
    .makeEqual()
    .catch((err: unknown) => log.error({ err }, 'the schedules were not looked at; the keeper tries again'));
  const { chore } = schedules;
  return {
    // One look at a time: two would both make what is missing, and both say so.
    chore: {
      ...chore,
      async run(signal) {
        await atBoot;
        await chore.run(signal);
      },
    },
    atBoot,
  };
}
