import { expect, it } from 'vitest';
import { giveUp } from '../jobs/errors.ts';
import load from '../tests/support/fleet-jobs/acting/job.ts';
import { repeating } from '../tests/support/repeating-records.ts';
import { parseClaim } from './claim.ts';
import { createInterruptions } from './interruptions.ts';
import { memoryRecords } from './testing-records.ts';

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
