/** A Redis of 24 MB that fills up: adds end at 80 %, and what is there drains, even when somebody else filled the rest. */
import { Redis } from 'ioredis';
import { afterEach, expect, test } from 'vitest';
import { makeRoom } from '../backends/make-room.ts';
import { LimitedError } from '../producers/client.ts';
import { openStage } from './support/fleet.ts';
import acting from './support/fleet-jobs/acting/job.ts';
import { startRedis } from './support/redis-servers.ts';
import { openTenantStage, type Run, type TenantStage, type TestJob, until } from './support/tenants.stage.ts';

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

interface FullStage {
  readonly stage: TenantStage;
  readonly raw: Redis;
  /** Commands and scripts that Redis has refused for want of memory. */
  readonly refusals: () => Promise<number>;
}

async function openFullStage(): Promise<FullStage> {
  const server = await startRedis({ settings: { maxmemory: '24mb' } });
  open.push(() => server.stop());
  const stage = await openTenantStage(server.url);
  open.push(() => stage.close());
  const raw = new Redis(server.url);
  open.push(() => raw.quit());
  const refusals = async () => Number(/errorstat_OOM:count=(\d+)/.exec(await raw.info('errorstats'))?.[1] ?? 0);
  return { stage, raw, refusals };
}

const key = 'x'.repeat(2_000);
const items = (count: number) => Array.from({ length: count }, (_, n) => ({ payload: { n, key } }));

/** Adds until the client is refused; answers how many were stored, and the refusal. */
async function addUntilRefused(stage: TenantStage, job: TestJob): Promise<{ stored: number; refusal: unknown }> {
  const client = stage.client();
  for (let stored = 0; ; stored += 100) {
    try {
      await client.enqueueMany(job, items(100));
      // Slower than the second for which a client believes what it has seen.
      await new Promise((resolve) => setTimeout(resolve, 100));
    } catch (refusal) {
      return { stored, refusal };
    }
  }
}

test('adds are refused at 80 % of the memory, the queue drains, and adds go on when there is room', async () => {
  const { stage, refusals } = await openFullStage();
  const runs: Run[] = [];
  const job = stage.type({ concurrency: 20 }, { runs });
  const { stored, refusal } = await addUntilRefused(stage, job);
  expect(stored).toBeGreaterThan(1_000);
  expect(refusal).toBeInstanceOf(LimitedError);
  expect(refusal).toMatchObject({ code: 'LIMITED', status: 503, retryAfterMs: 5_000 });
  expect(String(refusal)).toMatch(/The store has used \d\d % of its memory; nothing is added from 80 % on\./);
  expect(await stage.backend.fullness()).toBeLessThan(1);
  expect(await stage.metrics.text()).toContain(`jobfleet_adds_refused_total{queue="${job.name}",reason="memory"}`);
  await expect(stage.client().enqueue(job, { key })).rejects.toMatchObject({ code: 'LIMITED', status: 503 });

  await stage.work([job]);
  const queue = stage.backend.queue(job.name);
  await until(async () => expect(await queue.getCompletedCount()).toBe(stored), 90_000);
  expect(runs).toHaveLength(stored);
  expect(await refusals()).toBe(0);

  const removed: number[] = [];
  const room = makeRoom(
    { backend: stage.backend, queues: [job.name], onRemoved: (_queue, count) => void removed.push(count) },
    0,
  );
  await until(async () => {
    await room.run(new AbortController().signal);
    expect(await stage.client().enqueue(job, {})).toMatchObject({ duplicate: false });
  }, 30_000);
  expect(removed.length).toBeGreaterThan(0);
}, 180_000);

test('what waits in a Redis that is full to the brim runs and ends, with at most ten errors a second', async () => {
  const { stage, raw, refusals } = await openFullStage();
  const runs: Run[] = [];
  // Long enough for the leases to be renewed while it is full; each records an effect.
  const effect = () => new Promise((resolve) => setTimeout(() => resolve('done'), 1_500));
  const job = stage.type({ concurrency: 50, attempts: 1 }, { runs, run: (_run, ctx) => ctx.once('effect', effect) });
  const { length } = await stage.client().enqueueMany(job, items(200));
  for (let n = 0; ; n += 1) {
    const answer = await raw.set(`filler:${n}`, 'y'.repeat(n < 200 ? 100_000 : 200)).catch((error: Error) => error);
    if (answer instanceof Error && n >= 200) break;
    if (answer instanceof Error) n = 199;
  }
  const before = await refusals();
  const from = Date.now();
  await stage.work([job]);
  const queue = stage.backend.queue(job.name);
  await until(async () => expect(await queue.getCompletedCount()).toBe(length), 90_000);
  const seconds = (Date.now() - from) / 1_000;
  const errors = (await refusals()) - before;
  process.stdout.write(`full Redis: ${length} jobs in ${seconds.toFixed(1)} s, ${errors} refusals\n`);
  expect(await raw.set('filler:last', 'y'.repeat(200)).catch((error: Error) => error.message)).toMatch(/^OOM/);
  expect(errors / seconds).toBeLessThanOrEqual(10);
  expect(runs).toHaveLength(length);
  expect(await queue.getFailedCount()).toBe(0);
  await expect(stage.client().enqueue(job, {})).rejects.toMatchObject({ code: 'LIMITED', status: 503 });
}, 180_000);

test('a Redis that takes no writes is asked ten times a second at most, and work goes on when it does again', async () => {
  const server = await startRedis({});
  open.push(() => server.stop());
  const raw = new Redis(server.url);
  open.push(() => raw.quit());
  await using stage = await openStage(server.url);
  const { backend, client } = await stage.open();
  const thousand = Array.from({ length: 1_000 }, () => ({ payload: { act: 'echo' as const } }));
  for (let bulks = 0; bulks < 3; bulks += 1) await client.enqueueMany(acting, thousand);
  const completed = () => backend.queue('acting').getCompletedCount();
  await stage.start();
  await until(async () => expect(await completed()).toBeGreaterThan(50));
  // As when the disk of its log is full, or its replicas are gone: reads are answered, each write is refused.
  await raw.config('SET', 'min-replicas-to-write', '1');
  const from = Date.now();
  const before = await completed();
  expect(before).toBeLessThan(3_000);
  await until(() => expect(Date.now() - from).toBeGreaterThan(5_000), 10_000);
  const refused = Number(/errorstat_NOREPLICAS:count=(\d+)/.exec(await raw.info('errorstats'))?.[1] ?? 0);
  process.stdout.write(`Redis without writes for 5 s: ${refused} refusals\n`);
  // Besides, each of the four jobs that were held has an end or two that is refused.
  expect(refused).toBeLessThanOrEqual(5 * 10 + 20);
  await raw.config('SET', 'min-replicas-to-write', '0');
  await until(async () => expect(await completed()).toBeGreaterThan(before), 5_000);
  await until(async () => expect(await completed()).toBe(3_000), 60_000);
  expect(await backend.queue('acting').getFailedCount()).toBe(0);
}, 180_000);

test.each([
  ['of one type', {}, 1],
  ['of two types', {}, 2],
  ['of a type that is shared fairly', { order: 'fair' }, 1],
] as const)('a bulk %s that does not fit is refused whole', async (_what, policy, types) => {
  const { stage, raw } = await openFullStage();
  const jobs = Array.from({ length: types }, () => stage.type(policy));
  const bulk = Array.from({ length: 600 }, (_, n) => ({
    type: jobs[n % types]?.name ?? '',
    payload: { n, key: 'x'.repeat(10_000) },
    options: { tenant: 'acme' },
  }));
  // Below the 80 % from which on the client refuses by itself; a bulk has 6 MB.
  for (let n = 0; ((await stage.backend.fullness()) ?? 1) < 0.78; n += 1)
    await raw.set(`filler:${n}`, 'y'.repeat(50_000));
  await expect(stage.client().enqueueBatch(bulk)).rejects.toMatchObject({ code: 'LIMITED', status: 503 });
  for (const { name } of jobs) expect(await stage.backend.queue(name).getJobCountByTypes()).toBe(0);
});
