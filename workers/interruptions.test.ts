import { describe, expect, it } from 'vitest';
import { type InterruptionCause, readRun, runKey } from '../backends/run-record.ts';
import { giveUp } from '../jobs/errors.ts';
import load from '../tests/support/fleet-jobs/acting/job.ts';
import { repeating } from '../tests/support/repeating-records.ts';
import { parseClaim } from './claim.ts';
import { createInterruptions } from './interruptions.ts';
import { memoryRecords } from './testing-records.ts';

const stored = { id: 'acting_1', name: 'acting', data: {}, opts: {}, timestamp: 0, attemptsMade: 0 };
/** The claim after so many lost ones. */
const claimAfter = (lost: number) => parseClaim({ ...stored, attemptsStarted: lost + 1, stalledCounter: lost }, load);

it('counts a death once when a lost connection had it written twice', async () => {
  const interruptions = createInterruptions({
    records: repeating(memoryRecords()),
    now: Date.now,
    onInterrupted: () => undefined,
    onAlert: () => undefined,
  });
  const died = () => interruptions.died(claimAfter(0), giveUp('SANDBOX_CRASH', 'signal 9'), false);
  expect([(await died()).verdict.kind, (await died()).verdict.kind, (await died()).verdict.kind]).toEqual([
    'later',
    'later',
    'dead',
  ]);
});

describe('a claim that was lost while it ran', () => {
  function open() {
    const records = memoryRecords();
    const told: InterruptionCause[] = [];
    const alerts: number[] = [];
    const interruptions = createInterruptions({
      records,
      now: () => 5,
      onInterrupted: (_claim, cause) => told.push(cause),
      onAlert: (_claim, interrupted) => alerts.push(interrupted),
    });
    const run = async () => readRun((await records.get([runKey('acting', 'acting_1')]))[0]?.value ?? '{}');
    return { interruptions, run, told, alerts };
  }

  it('is one interruption, and no crash, when its worker says so before the next claim', async () => {
    const { interruptions, run, told } = open();
    await interruptions.note(claimAfter(0), 'lease');
    expect(await interruptions.seen(claimAfter(1), await run())).toBe(false);
    expect(await run()).toMatchObject({ interrupted: 1, lostClaims: 1, causes: [{ cause: 'lease' }] });
    expect(told).toEqual(['lease']);
  });

  it('is one interruption, and no crash, when its worker says so after the next claim', async () => {
    const { interruptions, run, told } = open();
    expect(await interruptions.seen(claimAfter(1), undefined)).toBe(true);
    await interruptions.note(claimAfter(0), 'lease');
    await interruptions.note(claimAfter(0), 'lease');
    expect(await run()).toMatchObject({ interrupted: 1, lostClaims: 1, causes: [{ cause: 'lease', at: 5 }] });
    expect((await run()).causes).toHaveLength(1);
    expect(told).toEqual(['crash']);
  });

  it('is told apart from the claims that crashed before and after it', async () => {
    const { interruptions, run } = open();
    await interruptions.seen(claimAfter(1), undefined);
    await interruptions.seen(claimAfter(2), await run());
    await interruptions.note(claimAfter(1), 'lease');
    await interruptions.seen(claimAfter(3), await run());
    expect((await run()).causes.map(({ cause }) => cause)).toEqual(['crash', 'lease', 'crash']);
    expect(await run()).toMatchObject({ interrupted: 3, lostClaims: 3 });
  });

  it('alerts at the twentieth', async () => {
    const { interruptions, run, alerts } = open();
    for (let lost = 0; lost < 20; lost += 1) {
      await interruptions.seen(claimAfter(lost), await run());
      await interruptions.note(claimAfter(lost), 'lease');
    }
    expect(alerts).toEqual([20]);
  });
});
