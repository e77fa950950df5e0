/** May the job of a tick run? A pure rule over the record of its schedule: no store, no clock. */
import { lateAfterMs, type OpenRun, type ScheduleRecord } from '../backends/schedule-record.ts';
import { slotJobId } from '../backends/slot-id.ts';
import { ticksBetween } from '../runtime/cron.ts';

/** Why a tick did not run. `duplicate`: its slot was decided before; one run is enough. */
export type SkipReason = 'duplicate' | 'late' | 'overlap' | 'paused' | 'removed';

export interface Tick {
  /** The job type, which is also the schedule's name. */
  readonly type: string;
  readonly slot: number;
  /** The stored job that came for it. */
  readonly id: string;
  /** Epoch ms. */
  readonly now: number;
  readonly isPaused: boolean;
  /** The run in front that was looked at and has really not ended. */
  readonly aliveId?: string | undefined;
}

export type TickVerdict = (
  | { readonly kind: 'run' }
  | { readonly kind: 'skip'; readonly reason: SkipReason }
  /** So many are in front; the caller puts the job off. */
  | { readonly kind: 'wait'; readonly behind: number }
  /** First look whether the front still lives, then ask again. */
  | { readonly kind: 'look'; readonly front: OpenRun }
) & {
  /** Write this first; undefined: nothing changes. */
  readonly write?: ScheduleRecord;
  /** Then cancel these. */
  readonly cancel?: readonly OpenRun[];
  /** Then store jobs for these missed ticks. */
  readonly store?: readonly OpenRun[];
  /** More ticks were missed than are made up for; the oldest are dropped. */
  readonly isTooLong?: boolean;
};

/** Runs of one schedule that may stand in line, the running one included. */
export const mostOpen = 100;

/** Slots that are remembered; ticks are claimed out of order when a worker dies, not dozens of them later. */
const mostDecided = 32;

/** Whether the slot was decided, as far as anybody remembers. */
function wasDecided({ slot, decided = [], decidedFrom = slot }: ScheduleRecord, asked: number): boolean {
  if (slot === undefined || decidedFrom === undefined || asked > slot) return false;
  return asked <= decidedFrom || decided.includes(asked);
}

/** The record with these slots decided. */
function decide(record: ScheduleRecord, slots: readonly number[]): ScheduleRecord {
  const { slot, decided = [], declared } = record;
  // A record that is new begins with its rule: earlier ticks are not owed.
  const from = record.decidedFrom ?? slot ?? declared?.since ?? Math.min(...slots) - 1;
  const all = [...decided, ...slots].filter((one) => one > from).toSorted((a, b) => a - b);
  const kept = all.slice(-mostDecided);
  const forgotten = all.at(-mostDecided - 1);
  return { ...record, slot: Math.max(slot ?? 0, ...slots), decided: kept, decidedFrom: forgotten ?? from };
}

export function decideTick(record: ScheduleRecord, tick: Tick): TickVerdict {
  const [front] = record.open;
  const own = record.open.find(({ slot }) => slot === tick.slot);
  if (own !== undefined) return front === undefined ? { kind: 'run' } : decideAgain(own, front, tick, record);
  if (wasDecided(record, tick.slot)) return { kind: 'skip', reason: 'duplicate' };
  const declared = record.declared;
  if (declared === null) return skip(record, tick, 'removed');
  if (tick.isPaused) return skip(record, tick, 'paused');
  if (declared?.missed === 'skip' && tick.now - tick.slot > lateAfterMs) return skip(record, tick, 'late');
  if (front !== undefined && front.id !== tick.aliveId) return { kind: 'look', front };
  const overlap = declared?.overlap ?? 'skip';
  // A newer run is not replaced by an older tick.
  const isReplaced = overlap === 'replace' && tick.slot < (record.slot ?? 0);
  if (front !== undefined && (overlap === 'skip' || isReplaced || record.open.length >= mostOpen))
    return skip(record, tick, 'overlap');
  return putInLine(record, tick, overlap === 'replace' ? record.open : []);
}

/** A retry, a job that waited its turn, or a second job for the same slot. */
function decideAgain(own: OpenRun, front: OpenRun, tick: Tick, record: ScheduleRecord): TickVerdict {
  if (own.id !== tick.id) return { kind: 'skip', reason: 'duplicate' };
  const unstored = record.open.filter(({ stored }) => !stored);
  const store = unstored.length === 0 ? {} : { store: unstored };
  if (own === front) return { kind: 'run', ...store };
  const behind = record.open.indexOf(own);
  return front.id === tick.aliveId ? { kind: 'wait', behind, ...store } : { kind: 'look', front, ...store };
}

function skip(record: ScheduleRecord, tick: Tick, reason: SkipReason): TickVerdict {
  const isNewest = record.skipped === undefined || record.skipped.slot <= tick.slot;
  const skipped = isNewest ? { slot: tick.slot, reason, at: tick.now } : record.skipped;
  return { kind: 'skip', reason, write: { ...decide(record, [tick.slot]), skipped } };
}

/** With `missed: 'all'` together with every tick that nobody came for since the newest decided one. */
function putInLine(record: ScheduleRecord, tick: Tick, cancel: readonly OpenRun[]): TickVerdict {
  const room = mostOpen - record.open.length - 1;
  const missed = missedSlots(record, tick, room + 1);
  const store = missed
    .slice(Math.max(0, missed.length - room))
    .map((slot) => ({ slot, id: slotJobId(tick.type, slot), stored: false }));
  const own = { slot: tick.slot, id: tick.id, stored: true };
  const fresh = [...store, own].toSorted((a, b) => a.slot - b.slot);
  const open = [...record.open, ...fresh];
  const more = {
    write: {
      ...decide(
        record,
        fresh.map(({ slot }) => slot),
      ),
      open,
    },
    ...(cancel.length === 0 ? {} : { cancel }),
    ...(store.length === 0 ? {} : { store }),
    ...(missed.length > store.length ? { isTooLong: true } : {}),
  };
  const behind = open.findIndex(({ id }) => id === tick.id);
  return behind === 0 ? { kind: 'run', ...more } : { kind: 'wait', behind, ...more };
}

function missedSlots(record: ScheduleRecord, { slot, now }: Tick, most: number): number[] {
  const { declared } = record;
  if (declared?.missed !== 'all') return [];
  const since = Math.max(record.slot ?? 0, declared.since);
  return ticksBetween(declared, since, Math.max(now, slot), most + 1).filter((missed) => missed !== slot);
}

/** The run of a job is over: the next in line has its turn. */
export function endRun(
  record: ScheduleRecord,
  run: { readonly slot: number; readonly id: string },
  outcome: string,
  at: number,
): ScheduleRecord {
  const open = record.open.filter(({ id }) => id !== run.id);
  const isNewest = record.last === undefined || record.last.slot <= run.slot;
  const { slot, id } = run;
  return { ...record, open, ...(isNewest ? { last: { slot, id, outcome, at } } : {}) };
}
