import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { cancelKey } from '../backends/cancel-record.ts';
import { readRun, runKey } from '../backends/run-record.ts';
import { type AbortCode, defineJob } from '../jobs/define.ts';
import { giveUp, tryAgainIn } from '../jobs/errors.ts';
import { admitAgain, admitFresh } from './admit.ts';
import { attempt, verdict } from './attempt.ts';
import { parseClaim, type StoredClaim } from './claim.ts';
import { createInterruptions } from './interruptions.ts';
import { type Answer, createRunning } from './running.ts';
import { memoryRecords } from './testing-records.ts';

const job = defineJob({ name: 'trying', summary: 'Tried.', payload: z.unknown(), result: z.unknown() });
const isolated = { ...job, policy: { ...job.policy, isolation: 'child' as const } };
const now = 1_700_000_000_000;

function claimOf(stored: Partial<StoredClaim> = {}) {
  return parseClaim(
    {
      id: 'trying_1',
      name: 'trying',
      data: { a: 1 },
      opts: { jobfleet: { tenant: 'acme', v: 1 } },
      timestamp: now,
      attemptsMade: 0,
      attemptsStarted: 1,
      stalledCounter: 0,
      ...stored,
    },
    job,
  );
}

function setUp(interrupted: string[] = [], alerts: number[] = []) {
  const records = memoryRecords();
  const interruptions = createInterruptions({
    records,
    now: () => now,
    onInterrupted: (_claim, cause) => interrupted.push(cause),
    onAlert: (_claim, count) => alerts.push(count),
  });
  const run = async () => readRun((await records.get([runKey('trying', 'trying_1')]))[0]?.value);
  return { records, interruptions, run };
}

describe('parse', () => {
  it('reads a claim of ours, and one that a foreign client added', () => {
    expect(claimOf()).toMatchObject({ tenant: 'acme', attempt: 1, maxAttempts: 4, fence: 1, isFirst: true });
    expect(claimOf({ opts: { attempts: 9, delay: 500 } })).toMatchObject({
      tenant: '-',
      maxAttempts: 9,
      dueAt: now + 500,
      problem: undefined,
    });
  });

  it.each([
    ['a payload that is not JSON', { data: { $malformed: true } }, 'MALFORMED'],
    ['a tenant that is a path', { opts: { jobfleet: { tenant: '../acme', v: 1 } } }, 'MALFORMED'],
    ['facts of another form', { opts: { jobfleet: 'acme' } }, 'MALFORMED'],
    ['a start-by time that is no number', { opts: { jobfleet: { tenant: '-', startBy: 'soon' } } }, 'MALFORMED'],
    ['an id that fits no lease slot', { id: 'x'.repeat(257) }, 'MALFORMED'],
    ['another job type', { name: 'flying' }, 'UNKNOWN_JOB'],
  ])('finds %s', (_what, stored, code) => {
    expect(claimOf(stored).problem?.code).toBe(code);
  });
});

describe('admit', () => {
  it('refuses what is expired: not started by its time, or too old since it was due', () => {
    const late = claimOf({ opts: { jobfleet: { tenant: '-', startBy: now - 1 } } });
    expect(admitFresh(late, job.policy, now)).toMatchObject({ state: 'refused', error: { code: 'EXPIRED' } });
    const { maxAgeMs } = job.policy;
    expect(admitFresh(claimOf(), job.policy, now + maxAgeMs).state).toBe('run');
    expect(admitFresh(claimOf(), job.policy, now + maxAgeMs + 1).state).toBe('refused');
    const delayed = claimOf({ opts: { delay: 2 * maxAgeMs } });
    expect(admitFresh(delayed, job.policy, now + 2 * maxAgeMs).state).toBe('run');
  });

  it('gives a redriven job a new life', async () => {
    const { records, interruptions } = setUp();
    const old = claimOf({ attemptsStarted: 5, opts: { jobfleet: { tenant: '-', startBy: now } } });
    const at = now + 2 * job.policy.maxAgeMs;
    expect((await admitAgain(old, job.policy, at, { records, interruptions })).state).toBe('refused');
    await records.putIfAbsent(runKey('trying', 'trying_1'), JSON.stringify({ redrivenAt: at - 5, run: 2 }), null);
    expect((await admitAgain(old, job.policy, at, { records, interruptions })).state).toBe('run');
  });

  it('finds a cancel at a claim that is not the first', async () => {
    const { records, interruptions } = setUp();
    await records.putIfAbsent(cancelKey('trying', 'trying_1'), '{}', null);
    const again = claimOf({ attemptsStarted: 2 });
    expect(again.isFirst).toBe(false);
    expect(await admitAgain(again, job.policy, now, { records, interruptions })).toEqual({ state: 'cancelled' });
  });

  it('sends a job that was in a lost claim into a child, for the rest of its life', async () => {
    const interrupted: string[] = [];
    const { records, interruptions, run } = setUp(interrupted);
    const lost = claimOf({ attemptsStarted: 2, stalledCounter: 1 });
    const parts = { records, interruptions };
    expect(await admitAgain(lost, job.policy, now, parts)).toEqual({ state: 'run', alone: true });
    const later = claimOf({ attemptsStarted: 3, stalledCounter: 1 });
    expect(await admitAgain(later, job.policy, now, parts)).toEqual({ state: 'run', alone: true });
    expect(interrupted).toEqual(['crash']);
    expect(await run()).toMatchObject({ interrupted: 1, lostClaims: 1, suspect: true, causes: [{ cause: 'crash' }] });
  });

  it('does not suspect a job that was handed back, until the twentieth time', async () => {
    const alerts: number[] = [];
    const { records, interruptions } = setUp([], alerts);
    const claim = claimOf({ attemptsStarted: 2 });
    for (let count = 1; count <= 20; count += 1) {
      const admission = await admitAgain(claim, job.policy, now, { records, interruptions });
      expect(admission).toEqual({ state: 'run', alone: false });
      await interruptions.note(claim, 'deploy');
    }
    expect(alerts).toEqual([20]);
    expect(await admitAgain(claim, job.policy, now, { records, interruptions })).toMatchObject({ alone: true });
  });
});

describe('decide what a child’s death means', () => {
  const crash = giveUp('SANDBOX_CRASH', 'gone');
  it('runs a suspect again after 1 and 2 s and gives up at the third death', async () => {
    const { interruptions } = setUp();
    const said = [];
    for (let death = 1; death <= 3; death += 1) said.push(await interruptions.died(claimOf(), crash, false));
    expect(said.map((error) => error.verdict)).toEqual([
      { kind: 'later', delayMs: 1_000 },
      { kind: 'later', delayMs: 2_000 },
      { kind: 'dead' },
    ]);
  });

  it('runs a job of a type with its own child once more, then keeps the code', async () => {
    const { interruptions } = setUp();
    const oom = giveUp('SANDBOX_OOM', 'too much');
    expect((await interruptions.died(claimOf(), oom, true)).verdict.kind).toBe('later');
    expect(await interruptions.died(claimOf(), oom, true)).toMatchObject({
      code: 'SANDBOX_OOM',
      verdict: { kind: 'dead' },
    });
  });

  it('retries a suspect at its time limit as it would have been in process', async () => {
    const { interruptions, run } = setUp();
    const error = await interruptions.died(claimOf(), giveUp('SANDBOX_TIMEOUT', 'slow'), false);
    expect(error).toMatchObject({ code: 'TIMED_OUT', verdict: { kind: 'retry' } });
    expect((await run()).deaths).toBe(0);
  });

  it('keeps what a redrive noted', async () => {
    const { records, interruptions } = setUp();
    await records.putIfAbsent(runKey('trying', 'trying_1'), JSON.stringify({ run: 3, failures: [] }), null);
    await interruptions.note(claimOf(), 'deploy');
    const [stored] = await records.get([runKey('trying', 'trying_1')]);
    expect(JSON.parse(stored?.value ?? '{}')).toMatchObject({ run: 3, failures: [], interrupted: 1 });
  });
});

describe('the verdict', () => {
  const { interruptions } = setUp();
  const judge = (answer: Answer, aborted: AbortCode | undefined, type = job, inChild = false) =>
    verdict(answer, { aborted, claim: claimOf() }, inChild, { interruptions, job: type, random: () => 0.5 });
  const result: Answer = { state: 'result', result: 1 };
  const failed: Answer = { state: 'error', error: new Error('x') };

  it.each([
    ['a result', result, undefined, { state: 'done' }],
    ['a result after cancel', result, 'CANCELLED', { state: 'cancelled' }],
    ['a result after the time limit', result, 'TIMED_OUT', { state: 'retry', code: 'TIMED_OUT' }],
    ['a result during shutdown', result, 'SHUTDOWN', { state: 'done' }],
    ['a failure during shutdown', failed, 'SHUTDOWN', { state: 'interrupted', cause: 'deploy' }],
    ['nothing during shutdown', { state: 'left' }, 'SHUTDOWN', { state: 'interrupted', cause: 'deploy' }],
    ['a result after the lease was lost', result, 'LEASE_LOST', { state: 'interrupted', cause: 'lease' }],
    ['a failure', failed, undefined, { state: 'retry', code: 'UNEXPECTED', delayMs: 500 }],
  ] as const)('of %s', async (_what, answer, aborted, outcome) => {
    expect((await judge(answer, aborted)).outcome).toMatchObject(outcome);
  });

  it('does not count a child that never became ready as a death', async () => {
    const none = tryAgainIn(500, 'SANDBOX_CRASH', 'No child becomes ready');
    expect((await judge({ state: 'error', error: none }, undefined, isolated, true)).outcome).toEqual({
      state: 'later',
      delayMs: 500,
      code: 'SANDBOX_CRASH',
    });
  });
});

describe('an attempt', () => {
  it('does not start the handler of a job that was aborted while it was admitted', async () => {
    const { records, interruptions } = setUp();
    const running = createRunning(claimOf({ attemptsStarted: 2 }));
    let hasRun = false;
    const parts = { job, records, interruptions, now: () => now, random: Math.random };
    const ending = attempt(running, {
      ...parts,
      run: async () => {
        hasRun = true;
      },
    });
    running.abort('SHUTDOWN', 1_000);
    expect((await ending).outcome).toEqual({ state: 'interrupted', cause: 'deploy' });
    expect(hasRun).toBe(false);
    running.finish();
  });

  it('makes no controller for a handler that never looks at its signal, and one that is aborted when it looks late', () => {
    const running = createRunning(claimOf());
    running.abort('CANCELLED', 1_000);
    expect(running.signal.aborted).toBe(true);
    expect(running.signal.reason).toMatchObject({ code: 'CANCELLED' });
    expect(running.signal).toBe(running.signal);
    running.finish();
  });
});
