import { expect, it } from 'vitest';
import type { RecordStore } from '../backends/backend.ts';
import { giveUp } from '../jobs/errors.ts';
import load from '../tests/support/fleet-jobs/acting/job.ts';
import { parseClaim } from './claim.ts';
import { createInterruptions } from './interruptions.ts';
import { memoryRecords } from './testing-records.ts';

/** As a store whose connection is lost after each write: the statement was applied, and runs again. */
function repeating(records: RecordStore): RecordStore {
  return {
    ...records,
    putIfAbsent: async (...call) => {
      await records.putIfAbsent(...call);
      return records.putIfAbsent(...call);
    },
    compareAndSet: async (...call) => {
      await records.compareAndSet(...call);
      return records.compareAndSet(...call);
    },
  };
}

it('counts a death once when a lost connection had it written twice', async () => {
  const interruptions = createInterruptions({
    records: repeating(memoryRecords()),
    now: Date.now,
    onInterrupted: () => undefined,
    onAlert: () => undefined,
  });
  const stored = { id: 'acting_1', name: 'acting', data: {}, opts: {}, timestamp: 0, attemptsMade: 0 };
  const claim = parseClaim({ ...stored, attemptsStarted: 1, stalledCounter: 0 }, load);
  const died = () => interruptions.died(claim, giveUp('SANDBOX_CRASH', 'signal 9'), false);
  expect([(await died()).verdict.kind, (await died()).verdict.kind, (await died()).verdict.kind]).toEqual([
    'later',
    'later',
    'dead',
  ]);
});
