/** What a job type says about when it runs by itself, and the checks of it at boot. */
import { CronExpressionParser } from 'cron-parser';
import { z } from 'zod';
import type { Job } from './define.ts';
import { type FieldLock, hasPlainSecret, sealFields } from './secret-fields.ts';

/** A cron rule that creates jobs of the type beside which it stands. */
export interface Schedule<Payload = unknown> {
  /** Five fields, or six with seconds in front, or `@daily` and its like: `0 3 * * 1-5`. No `H`: it means another time in every process. */
  readonly cron: string;
  /** IANA name: `Europe/Berlin`, `UTC`. */
  readonly timeZone: string;
  /** Of every job; checked by the type's own schema at boot. At most 8 KiB of JSON. */
  readonly payload: Payload;
  /**
   * A tick stands for every tenant that keeps documents in this collection of the type: it adds one job with the payload
   * for each, and its handler does not run. Default: the tick is one job of nobody (`-`).
   */
  readonly tenants?: string;
  /**
   * What becomes of ticks nobody was there for. `once` (default): one run for all of them. `skip`: none that is more than
   * 60 s late. `all`: every one, the newest 100, one after the other.
   */
  readonly missed?: 'once' | 'skip' | 'all';
  /**
   * When the run before has not ended. `skip` (default): no run for this tick. `queue` (default with `missed: 'all'`): it
   * waits its turn, at most 100 of them. `replace`: the older one is cancelled.
   */
  readonly overlap?: 'skip' | 'queue' | 'replace';
}

/** The schedule of one job type, complete and as data: what the keeper gets to know of it. */
export interface DeclaredSchedule {
  readonly type: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly missed: 'once' | 'skip' | 'all';
  readonly overlap: 'skip' | 'queue' | 'replace';
  /** The payload with its defaults, as JSON. */
  readonly json: string;
  readonly attempts: number;
  /** BullMQ's: 1 in a queue where every job has one, else 0. */
  readonly priority: number;
}

const payloadBytes = 8_192;

const shape = z.strictObject({
  cron: z.string().max(200),
  timeZone: z.string().max(100),
  payload: z.unknown(),
  missed: z.enum(['once', 'skip', 'all']).optional(),
  overlap: z.enum(['skip', 'queue', 'replace']).optional(),
  tenants: z.string().optional(),
});

/** Ticks that come faster are work that a job should loop over itself: each costs a job, its records and its lines. */
const leastIntervalMs = 10_000;

/**
 * Why the schedule of a job type cannot work, one sentence each; empty when it can, or when there is none. `atLeastMs` is
 * for tests that cannot wait for `leastIntervalMs`.
 */
export function scheduleProblems(job: Job, atLeastMs: number = leastIntervalMs): string[] {
  const { schedule } = job;
  if (schedule === undefined) return [];
  const read = shape.safeParse(schedule);
  if (!read.success)
    return read.error.issues.map(({ path, message }) => `${['schedule', ...path].join('.')}: ${message}`);
  const problems = [
    cronProblem(schedule.cron) ?? intervalProblem(schedule.cron, atLeastMs),
    zoneProblem(schedule.timeZone),
    payloadProblem(job, schedule.payload),
  ];
  if (schedule.tenants !== undefined) {
    if (!Object.hasOwn(job.collections ?? {}, schedule.tenants))
      problems.push(`schedule.tenants "${schedule.tenants}" is no collection that the type declares`);
    if (job.secretFields.length > 0) problems.push('a type with secret fields cannot have schedule.tenants');
  }
  if (job.uniqueKey !== undefined)
    problems.push('a type with a schedule cannot have a uniqueKey: a tick that is a duplicate would be lost; drop one');
  return problems.filter((problem) => problem !== undefined);
}

/** Only a rule with seconds can be too fast; two minutes of it show every distance there is. */
function intervalProblem(cron: string, atLeastMs: number): string | undefined {
  if (cron.trim().split(/\s+/).length !== 6) return undefined;
  const ticks = CronExpressionParser.parse(cron, { tz: 'UTC' });
  let before = ticks.next().getTime();
  for (let seen = 0; seen < 120 && ticks.hasNext(); seen += 1) {
    const tick = ticks.next().getTime();
    if (tick - before < atLeastMs)
      return `schedule.cron "${cron}" ticks after ${(tick - before) / 1_000} s; the least is ${atLeastMs / 1_000} s`;
    before = tick;
  }
  return undefined;
}

function cronProblem(cron: string): string | undefined {
  const said = `schedule.cron "${cron}"`;
  const fields = cron.trim().split(/\s+/);
  if (!cron.startsWith('@') && fields.length !== 5 && fields.length !== 6)
    return `${said} has ${cron.trim() === '' ? 0 : fields.length} fields, expected five, or six with seconds in front`;
  if (fields.some((field) => /(?:^|,)H/.test(field)))
    return `${said} says H, which means another time in every process; write the number`;
  try {
    CronExpressionParser.parse(cron, { tz: 'UTC' }).next();
    return undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return /loop limit/i.test(reason) ? `${said} never ticks` : `${said} cannot be read: ${reason}`;
  }
}

function zoneProblem(timeZone: string): string | undefined {
  try {
    Intl.DateTimeFormat('en', { timeZone });
    // Offsets would pass, and would not follow any change of the clock.
    if (timeZone === 'UTC' || /^[A-Za-z]/.test(timeZone)) return undefined;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return `schedule.timeZone "${timeZone}" is no time zone; expected a name such as "Europe/Berlin" or "UTC"`;
}

function payloadProblem(job: Job, payload: unknown): string | undefined {
  const parsed = job.payload.safeParse(payload);
  if (!parsed.success) return `schedule.payload does not fit the payload of the type: ${z.prettifyError(parsed.error)}`;
  const bytes = Buffer.byteLength(JSON.stringify(parsed.data) ?? '');
  return bytes <= payloadBytes ? undefined : `schedule.payload has ${bytes} bytes as JSON, at most ${payloadBytes}`;
}

/**
 * The schedules of these job types; their checks have passed. One whose payload holds secrets is left out where
 * `lockOf` has no lock for it.
 */
export function declaredSchedules(
  jobs: Iterable<Job>,
  lockOf: (type: string) => Pick<FieldLock, 'seal'> | undefined = () => undefined,
): DeclaredSchedule[] {
  return Array.from(jobs).flatMap(({ name, payload, policy, schedule, secretFields }) => {
    if (schedule === undefined) return [];
    const { cron, timeZone, missed = 'once', overlap = missed === 'all' ? 'queue' : 'skip' } = schedule;
    const plain: unknown = payload.parse(schedule.payload);
    const lock = hasPlainSecret(secretFields, plain) ? lockOf(name) : undefined;
    if (lock === undefined && hasPlainSecret(secretFields, plain)) return [];
    const json = JSON.stringify(lock === undefined ? plain : sealFields(secretFields, plain, lock));
    const priority = policy.order === 'fair' ? 1 : 0;
    return [{ type: name, cron: cron.trim(), timeZone, missed, overlap, json, attempts: policy.attempts, priority }];
  });
}
