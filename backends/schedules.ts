/**
 * Makes the schedulers of the store follow what the newest release declares. Any number of instances may do it at once:
 * the record of a schedule is written by compare-and-set, and whoever holds the lease then makes BullMQ's scheduler equal
 * to the record. A scheduler that is equal is left alone: writing it again would throw an overdue tick away.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { JobSchedulerJson, JobsOptions } from 'bullmq';
import { ticksBetween } from '../runtime/cron.ts';
import type { Backend, Chore } from './backend.ts';
import { portableJson } from './portable.ts';
import { compareReleases } from './releases.ts';
import {
  changeRecord,
  changeTypes,
  type Declaration,
  lateAfterMs,
  readRecord,
  type ScheduleRecord,
  scheduledTypes,
  scheduleKey,
} from './schedule-record.ts';
import { slotJobId, tickJobId } from './slot-id.ts';

/** What one job type of this release declares. */
export interface Declared extends Omit<Declaration, 'since'> {
  readonly type: string;
}

export interface SchedulesParts {
  readonly backend: Pick<Backend, 'add' | 'now' | 'queue' | 'records'>;
  readonly declared: readonly Declared[];
  /** Types whose schedule this process has no key to write down: theirs stay as they are. */
  readonly withheld?: readonly string[];
  /** This release, as in package.json: what a newer one declared stays. */
  readonly release: string;
  /** Names this process; unique in the fleet. */
  readonly instance: string;
  /** How late the next tick of a schedule is, in seconds; 0 when it is not. Told at every look. */
  readonly onLate: (type: string, lateS: number) => void;
  /** A tick is 60 s late; told once per tick. */
  readonly onAlert: (type: string, slot: number, lateS: number) => void;
  /** A scheduler was made, changed, armed again or removed. */
  readonly onChange: (type: string, what: ScheduleChange) => void;
  /** Epoch ms by this process's clock; default `Date.now`. */
  readonly clock?: () => number;
}

/** `armed again`: its next job had gone (deleted on the board, lost by the store). */
export type ScheduleChange = 'made' | 'changed' | 'armed again' | 'removed';

export interface Schedules {
  /** Writes what this release declares, then makes the schedulers equal to the records. Call it at boot. */
  makeEqual(): Promise<void>;
  /** The same, every 15 s, by the keeper. */
  readonly chore: Chore;
}

/** A tick this late should have been promoted; then it is worth a look whether its job is still there. */
const graceMs = 5_000;
const skewMs = 2_000;
const lease = { key: 'schedules', ms: 30_000, tries: 20, pauseMs: 250 } as const;

export function createSchedules(parts: SchedulesParts): Schedules {
  for (const { type, json } of parts.declared) {
    const checked = portableJson(JSON.parse(json));
    if (typeof checked !== 'string') throw new TypeError(`The schedule of ${type}: ${checked.problem}`);
  }
  const alerted = new Map<string, number>();
  const makeEqual = async (tries: number): Promise<void> => {
    const now = await trustedNow(parts);
    await declare(parts, now);
    const { records } = parts.backend;
    for (let left = tries; left > 0; left -= 1) {
      if (await records.acquire(lease.key, parts.instance, 1, lease.ms)) {
        try {
          for (const type of await scheduledTypes(records)) await follow(type, now, parts, alerted);
        } finally {
          await records.release(lease.key, parts.instance);
        }
        return;
      }
      if (left > 1) await wait(lease.pauseMs, undefined, { ref: false });
    }
  };
  return {
    // Who does not get the lease leaves the rest to the keeper: what it has to do stands in the records.
    makeEqual: () => makeEqual(lease.tries),
    chore: { name: 'schedules', everyMs: 15_000, run: () => makeEqual(1) },
  };
}

/** The store's time. Throws when this process's clock is off: BullMQ plans the next tick by it. */
async function trustedNow({ backend, clock = Date.now }: SchedulesParts): Promise<number> {
  const now = await backend.now();
  const offMs = clock() - now;
  if (Math.abs(offMs) <= skewMs) return now;
  throw new Error(`The clock of this process is ${offMs} ms off the store's; it plans no schedules until it is set`);
}

async function declare(parts: SchedulesParts, now: number): Promise<void> {
  const { records } = parts.backend;
  const known = await scheduledTypes(records);
  const declared = new Map(parts.declared.map((one) => [one.type, one]));
  const added = [...declared.keys()].filter((type) => !known.includes(type));
  if (added.length > 0) await changeTypes(records, { add: added, drop: [] });
  for (const type of new Set([...known, ...declared.keys()])) {
    if (parts.withheld?.includes(type) === true) continue;
    const own = declared.get(type);
    await changeRecord(records, type, (record) => ({ write: declaredIn(record, own, parts.release, now) }));
  }
}

/** The record with this release's declaration; undefined where it says so already, or a newer release has the word. */
function declaredIn(
  record: ScheduleRecord,
  own: Declared | undefined,
  release: string,
  now: number,
): ScheduleRecord | undefined {
  if (compareReleases(release, record.release) < 0) return undefined;
  const before = record.declared;
  if (own === undefined) return before ? { ...record, declared: null, release } : undefined;
  const { type: _type, ...wanted } = own;
  const isSameRule = before?.cron === own.cron && before.timeZone === own.timeZone;
  const declared: Declaration = { ...wanted, since: isSameRule ? before.since : now };
  if (isDeepStrictEqual(before, declared) && record.release === release) return undefined;
  return { ...record, declared, release };
}

/** Makes one scheduler equal to its record. */
async function follow(type: string, now: number, parts: SchedulesParts, alerted: Map<string, number>): Promise<void> {
  const { backend, onChange } = parts;
  const queue = backend.queue(type);
  const [[stored], scheduler] = await Promise.all([
    backend.records.get([scheduleKey(type)]),
    queue.getJobScheduler(type),
  ]);
  if (stored === undefined) return changeTypes(backend.records, { add: [], drop: [type] });
  const record = readRecord(stored.value);
  const { declared } = record;
  if (!declared) {
    if (scheduler !== undefined && (await queue.removeJobScheduler(type))) onChange(type, 'removed');
    return;
  }
  const next = scheduler?.next ?? undefined;
  tellLateness(type, record, next, now, parts, alerted);
  const change = await changeNeeded(type, scheduler, declared, now, parts);
  if (change === undefined) return;
  await saveTick(type, record, declared, change === 'made' ? undefined : next, now, parts);
  await queue.upsertJobScheduler(
    type,
    { pattern: declared.cron, tz: declared.timeZone },
    { name: type, data: JSON.parse(declared.json), opts: tickOptions(declared) },
  );
  onChange(type, change);
}

async function changeNeeded(
  type: string,
  scheduler: JobSchedulerJson | undefined,
  declared: Declaration,
  now: number,
  { backend }: SchedulesParts,
): Promise<ScheduleChange | undefined> {
  if (scheduler === undefined) return 'made';
  if (!isEqual(scheduler, declared)) return 'changed';
  if (scheduler.next === undefined || scheduler.next === null) return 'armed again';
  const job = await backend.queue(type).getJob(tickJobId(type, scheduler.next));
  if (job === undefined) return (await hasMovedOn(type, scheduler.next, backend)) ? undefined : 'armed again';
  if (now - scheduler.next < graceMs || job.finishedOn === undefined) return undefined;
  return (await hasMovedOn(type, scheduler.next, backend)) ? undefined : 'armed again';
}

/** A worker may have claimed the tick between our two questions. */
async function hasMovedOn(type: string, next: number, backend: SchedulesParts['backend']): Promise<boolean> {
  const again = await backend.queue(type).getJobScheduler(type);
  return again !== undefined && again.next !== next;
}

function isEqual(scheduler: JobSchedulerJson, declared: Declaration): boolean {
  const { data = {}, opts = {} } = scheduler.template ?? {};
  return (
    scheduler.pattern === declared.cron &&
    scheduler.tz === declared.timeZone &&
    isDeepStrictEqual(data, JSON.parse(declared.json)) &&
    opts.attempts === declared.attempts &&
    (opts.priority ?? 0) === declared.priority
  );
}

/** What BullMQ is told of every job of a schedule. */
export function tickOptions({ attempts, priority }: Pick<Declaration, 'attempts' | 'priority'>): JobsOptions {
  return { attempts, backoff: { type: 'policy' }, ...(priority === 0 ? {} : { priority }) };
}

/**
 * Before the scheduler is written anew: a tick that is due and not decided gets a job of its own, because BullMQ drops
 * its job (or has lost it) and goes on with the next tick after now. The record lets one of the two run.
 */
async function saveTick(
  type: string,
  record: ScheduleRecord,
  declared: Declaration,
  next: number | undefined,
  now: number,
  { backend }: SchedulesParts,
): Promise<void> {
  const decided = record.slot ?? 0;
  const [missed] =
    next === undefined ? ticksBetween(declared, Math.max(decided, declared.since), now, 1) : next <= now ? [next] : [];
  if (missed === undefined || missed <= decided) return;
  if (declared.missed === 'skip' && now - missed > lateAfterMs) return;
  const id = slotJobId(type, missed);
  await backend.add(type, { id, name: type, json: declared.json, timestamp: now, options: tickOptions(declared) });
}

function tellLateness(
  type: string,
  record: ScheduleRecord,
  next: number | undefined,
  now: number,
  { onAlert, onLate }: SchedulesParts,
  alerted: Map<string, number>,
): void {
  // Undecided is only what nobody took up; a tick that waits its turn behind another is not late.
  const isDue = next !== undefined && next <= now && (record.slot ?? 0) < next;
  const lateS = isDue ? (now - next) / 1_000 : 0;
  onLate(type, lateS);
  if (!isDue || now - next < lateAfterMs || alerted.get(type) === next) return;
  alerted.set(type, next);
  onAlert(type, next, lateS);
}
