/**
 * One run per slot of a schedule. A job that a schedule made asks here at every claim; the record of the schedule, changed
 * by compare-and-set, lets one job of a slot through, and its retries until the run has ended.
 */
import type { Backend } from '../backends/backend.ts';
import {
  changeRecord,
  type OpenRun,
  pauseKey,
  readPause,
  readRecord,
  type ScheduleRecord,
  scheduleKey,
} from '../backends/schedule-record.ts';
import { tickOptions } from '../backends/schedules.ts';
import { outsideId } from '../backends/slot-id.ts';
import { tryAgainIn } from '../jobs/errors.ts';
import type { Admission } from './admit.ts';
import type { AttemptOutcome } from './attempt.ts';
import type { Claim } from './claim.ts';
import { decideTick, endRun, type SkipReason, type TickVerdict } from './slot-rules.ts';

export interface Slots {
  /** For a claim that was admitted otherwise and has a slot. Touches the store; rejects when that fails. */
  admit(claim: Claim, slot: number, admitted: Extract<Admission, { state: 'run' }>): Promise<Admission>;
  /** After an attempt; does nothing while the run goes on (retry, later, interrupted). */
  ended(claim: Claim, slot: number, outcome: AttemptOutcome): Promise<void>;
}

export interface SlotParts {
  readonly backend: Pick<Backend, 'add' | 'queue' | 'records'>;
  /** By the outside's id. */
  readonly cancel: (id: string) => Promise<unknown>;
  readonly onSkipped: (claim: Claim, reason: SkipReason) => void;
  /** More ticks were missed than are made up for. */
  readonly onDropped: (claim: Claim) => void;
  /** Epoch ms. */
  readonly now: () => number;
  readonly random: () => number;
}

/** Whose turn it is gets woken. Asking by itself is for when that was lost; a long line must not ask all the time. */
const wait = { leastMs: 500, perPlaceMs: 5_000, mostMs: 60_000 } as const;

export function createSlots(parts: SlotParts): Slots {
  const { records } = parts.backend;
  return {
    async admit(claim, slot, admitted) {
      // Somebody put a dead letter back to work: that is not the schedule's business.
      if (admitted.isRedriven === true) return admitted;
      const [pause] = await records.get([pauseKey(claim.queue)]);
      const isPaused = readPause(pause?.value) !== undefined;
      for (let aliveId: string | undefined; ; ) {
        const tick = { type: claim.queue, slot, id: claim.id, now: parts.now(), isPaused, aliveId };
        const verdict = await changeRecord(records, claim.queue, (record) => decideTick(record, tick));
        await carryOut(claim, verdict, parts);
        if (verdict.kind !== 'look') return admission(claim, verdict, admitted, parts);
        aliveId = (await isAlive(claim.queue, verdict.front, parts)) ? verdict.front.id : undefined;
      }
    },
    async ended(claim, slot, outcome) {
      const { state } = outcome;
      if (state !== 'done' && state !== 'dead' && state !== 'cancelled') return;
      const run = { slot, id: claim.id };
      const { write } = await changeRecord(records, claim.queue, (record) => ({
        write: endRun(record, run, state, parts.now()),
      }));
      await wake(claim.queue, write, parts);
    },
  };
}

function admission(
  claim: Claim,
  verdict: Exclude<TickVerdict, { kind: 'look' }>,
  admitted: Admission,
  parts: SlotParts,
): Admission {
  switch (verdict.kind) {
    case 'run':
      return admitted;
    case 'skip':
      parts.onSkipped(claim, verdict.reason);
      return { state: 'skipped', reason: verdict.reason };
    case 'wait': {
      const restMs = (verdict.behind - 1 + parts.random()) * wait.perPlaceMs;
      const delayMs = Math.round(Math.min(wait.leastMs + restMs, wait.mostMs));
      return {
        state: 'refused',
        error: tryAgainIn(delayMs, 'LOCKED', 'An earlier run of the schedule has not ended.'),
      };
    }
  }
}

async function carryOut(claim: Claim, verdict: TickVerdict, parts: SlotParts): Promise<void> {
  if (verdict.isTooLong === true) parts.onDropped(claim);
  for (const older of verdict.cancel ?? []) await parts.cancel(outsideId(claim.queue, older.id));
  if (verdict.store !== undefined) await storeRuns(claim.queue, verdict.store, parts);
}

/** Jobs for missed ticks. Adding an id twice is a no-op, so that a crash between any two of these steps costs nothing. */
async function storeRuns(type: string, runs: readonly OpenRun[], { backend, now }: SlotParts): Promise<void> {
  const [stored] = await backend.records.get([scheduleKey(type)]);
  const { declared } = readRecord(stored?.value);
  if (declared) {
    const options = tickOptions(declared);
    for (const { id } of runs)
      await backend.add(type, { id, name: type, json: declared.json, timestamp: now(), options });
  }
  await changeRecord(backend.records, type, (record) => ({ write: markStored(record, runs) }));
}

function markStored(record: ScheduleRecord, runs: readonly OpenRun[]): ScheduleRecord {
  const ids = new Set(runs.map(({ id }) => id));
  return { ...record, open: record.open.map((run) => (ids.has(run.id) ? { ...run, stored: true } : run)) };
}

/** Whether the run in front still has a job that has not ended. One that has none any more gives its place away. */
async function isAlive(type: string, front: OpenRun, parts: SlotParts): Promise<boolean> {
  const { backend } = parts;
  const job = await backend.queue(type).getJob(front.id);
  if (job !== undefined && job.finishedOn === undefined) return true;
  if (job === undefined && !front.stored) {
    await storeRuns(type, [front], parts);
    return true;
  }
  const outcome = job === undefined ? 'gone' : job.failedReason ? 'dead' : 'done';
  const { write } = await changeRecord(backend.records, type, (record) => ({
    write: endRun(record, front, outcome, parts.now()),
  }));
  await wake(type, write, parts);
  return false;
}

/** Whose turn it is need not wait until it asks again. */
async function wake(type: string, { open: [next] }: ScheduleRecord, { backend }: SlotParts): Promise<void> {
  if (next === undefined) return;
  const job = await backend.queue(type).getJob(next.id);
  if (job === undefined || !(await job.isDelayed())) return;
  try {
    await job.promote();
  } catch (error) {
    // Due in this very moment: then it asks by itself.
    if (await job.isDelayed()) throw error;
  }
}
