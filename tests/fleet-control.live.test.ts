/**
 * What operators do to a fleet of real worker processes: pause, tune, look; and workers whose clock is off. On Redis and on
 * PostgreSQL, which is what the embedded store is.
 */
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createPauses } from '../backends/pauses.ts';
import { tune } from '../backends/tunings.ts';
import { listWorkers } from '../backends/worker-list.ts';
import { openStage, type Stage, type WorkerProcess } from './support/fleet.ts';
import acting from './support/fleet-jobs/acting/job.ts';
import { redisIfHere } from './support/redis-database.ts';

vi.setConfig({ testTimeout: 150_000 });
const patience = { timeout: 45_000, interval: 50 };

const stores = ['postgres', ...redisIfHere('fleet-control')];

/** What a worker process says of itself; on a store of all tests others are listed beside it for a minute. */
async function factsOf(stage: Stage, { child }: WorkerProcess) {
  const { backend } = await stage.open();
  return (await listWorkers(backend.records)).find(({ pid }) => pid === child.pid);
}

describe.each(stores)('a fleet on %s', (store) => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await openStage(store);
  });
  afterEach(() => stage.close());

  it('is listed, runs more at once when an operator says so, and keeps that after a restart', async () => {
    const { backend, client } = await stage.open();
    const worker = await stage.start({ QUEUES: 'acting', CONCURRENCY: '1' });
    const queues = [{ queue: 'acting', concurrency: 1 }];
    await expect.poll(() => factsOf(stage, worker), patience).toMatchObject({ notClaiming: null, queues });
    const jobs = await Promise.all(Array.from({ length: 3 }, () => client.enqueue(acting, { act: 'wait' })));
    const running = async () => {
      const states = await Promise.all(jobs.map(({ id }) => client.status(id)));
      return states.filter((state) => state?.status === 'active').length;
    };
    await expect.poll(running, patience).toBe(1);
    const setAt = Date.now();
    // Its one slot is taken by a job that does not end.
    await tune(backend, 'acting', { concurrency: 2, by: 'ada' });
    await expect.poll(running, patience).toBe(2);
    expect(Date.now() - setAt).toBeLessThan(15_000);
    // Its line comes over a pipe, a moment after what it tells of.
    await expect.poll(worker.output, patience).toContain('"concurrency":2,"msg":"concurrency changed by an operator"');
    for (const { id } of jobs) await client.cancel(id);
    worker.child.kill('SIGTERM');
    expect((await worker.exited).code).toBe(0);
    expect(await factsOf(stage, worker)).toBeUndefined();
    const again = await stage.start({ QUEUES: 'acting', CONCURRENCY: '1' });
    await expect.poll(() => factsOf(stage, again), patience).toMatchObject({ queues: [{ concurrency: 2 }] });
    await tune(backend, 'acting', { concurrency: null, by: 'ada' });
    await expect.poll(again.output, patience).toContain('"concurrency":1,"msg":"concurrency changed by an operator"');
  });

  it('puts the jobs of a paused tenant off without an attempt, runs those of others, and goes on when it is resumed', async () => {
    const { backend, client } = await stage.open();
    const pauses = createPauses(backend);
    await pauses.pauseTenant('acme', { by: 'ada', reason: 'unpaid' });
    const add = (tenant: string) => client.enqueue(acting, { act: 'echo' }, { tenant });
    const [theirs, other] = [await add('acme'), await add('globex')];
    // It knows before its first claim.
    await stage.start();
    await stage.reaches(other.id, 'completed');
    expect(await stage.reaches(theirs.id, 'delayed')).toMatchObject({ attempt: 0, interruptions: 0 });
    await pauses.pauseTenant('globex', { by: 'ada', reason: 'unpaid' });
    const pausedAt = Date.now();
    const second = await vi.waitFor(async () => {
      const added = await add('globex');
      expect((await stage.reaches(added.id, 'completed', 'delayed')).status).toBe('delayed');
      return added;
    }, patience);
    // Told at once; five seconds when the message is lost, and the rest is a crowded machine.
    expect(Date.now() - pausedAt).toBeLessThan(20_000);
    expect(await stage.reaches(second.id, 'delayed')).toMatchObject({ attempt: 0 });
    await pauses.resumeTenant('globex');
    await pauses.resumeTenant('acme');
    for (const { id } of [theirs, second])
      expect(await stage.reaches(id, 'completed')).toMatchObject({ result: { attempt: 1 } });
  });

  it('leaves the jobs of a paused queue alone, also when a worker starts anew, and cancels them while it is paused', async () => {
    const { backend, client } = await stage.open();
    const pauses = createPauses(backend);
    await pauses.pauseQueue('acting', { by: 'ada', reason: 'provider down' });
    const [kept, cancelled] = [
      await client.enqueue(acting, { act: 'echo' }),
      await client.enqueue(acting, { act: 'echo' }),
    ];
    await stage.start();
    const hasty = await client.enqueueNamed('hasty', { act: 'echo' });
    await stage.reaches(hasty.id, 'completed');
    expect(await stage.reaches(kept.id, 'waiting')).toMatchObject({ attempt: 0 });
    expect(await client.cancel(cancelled.id)).toBe('cancelled');
    await pauses.resumeQueue('acting');
    await stage.reaches(kept.id, 'completed');
  });
});

const hourMs = 3_600_000;
const shiftMs = 65 * 60_000;

describe.each(stores)('workers whose clock is 65 minutes off, on %s', (store) => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await openStage(store);
  });
  afterEach(() => stage.close());

  const shift = (env: Readonly<Record<string, string>>) => ({
    NODE_OPTIONS: `--import ${fileURLToPath(new URL('support/shifted-clock.js', import.meta.url))}`,
    ...env,
  });

  it.each([shiftMs, -shiftMs])('claim nothing, run nothing early, and say so (%i ms)', async (ms) => {
    const { client } = await stage.open();
    const worker = await stage.start(shift({ CLOCK_SHIFT_MS: String(ms) }));
    const told = ms > 0 ? /is \d+ ms ahead of the store's.*not claiming/ : /is \d+ ms behind.*not claiming/;
    await expect.poll(worker.output, patience).toMatch(told);
    const due = await client.enqueue(acting, { act: 'echo' });
    const later = await client.enqueue(acting, { act: 'echo' }, { delayMs: hourMs });
    const notClaiming = expect.stringContaining('The clock of this machine');
    await expect.poll(() => factsOf(stage, worker), patience).toMatchObject({ notClaiming });
    const off = await factsOf(stage, worker);
    expect(Math.abs((off?.clockOffMs ?? 0) + ms)).toBeLessThan(2_000);
    expect(await stage.reaches(due.id, 'waiting')).toMatchObject({ attempt: 0 });
    // A worker with the right time takes what is due, and only that.
    await stage.start();
    await stage.reaches(due.id, 'completed');
    expect(await stage.reaches(later.id, 'delayed')).toMatchObject({ attempt: 0 });
  });

  it.each([shiftMs, -shiftMs])('stop claiming at the moment it is set (%i ms)', async (ms) => {
    const { client } = await stage.open();
    const worker = await stage.start(shift({ CLOCK_STEP_MS: String(ms) }));
    const first = await client.enqueue(acting, { act: 'echo' });
    await stage.reaches(first.id, 'completed');
    const later = await client.enqueue(acting, { act: 'echo' }, { delayMs: hourMs });
    worker.child.kill('SIGUSR2');
    await expect.poll(worker.output, patience).toContain('not claiming');
    const due = await client.enqueue(acting, { act: 'echo' });
    // Nothing it says of itself later is a claim: it would be in its log.
    const right = await stage.start({ QUEUES: 'acting' });
    await stage.reaches(due.id, 'completed');
    await expect.poll(right.output, patience).toContain(due.id);
    expect(worker.output()).not.toContain(due.id);
    expect(worker.output()).not.toContain('claim loop rebuilt');
    expect(await stage.reaches(later.id, 'delayed')).toMatchObject({ attempt: 0 });
  });

  it.each([shiftMs, -shiftMs])('hold on to what they run, and lose it when they die (%i ms)', async (ms) => {
    const { client } = await stage.open();
    // Long enough for a crowded machine: nothing but a death may lose it.
    const lease = { LEASE_MS: '5000' };
    const worker = await stage.start(shift({ CLOCK_STEP_MS: String(ms), ...lease }));
    const kept = await client.enqueue(acting, { act: 'wait' });
    await stage.started(kept.id);
    worker.child.kill('SIGUSR2');
    await expect.poll(worker.output, patience).toContain('not claiming');
    const victim = await stage.start(lease);
    const lost = await client.enqueue(acting, { act: 'wait' });
    await stage.started(lost.id);
    victim.child.kill('SIGKILL');
    await stage.start(lease);
    const runs = (id: string) => stage.count('started', id);
    // Others sweep, and find only what is lost.
    await expect.poll(() => runs(lost.id), patience).toBe(2);
    expect(await runs(kept.id)).toBe(1);
    worker.child.kill('SIGKILL');
    await expect.poll(() => runs(kept.id), patience).toBe(2);
    expect(await runs(lost.id)).toBe(2);
  });
});
