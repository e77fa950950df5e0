import { createPostgresBackend, isPgPool, type JobJson } from 'bullmq';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Backend } from './backend.ts';
import { openBackend } from './open.ts';
import { batchPostgresAdds } from './postgres-batched-adds.ts';
import { openPool } from './postgres-pool.ts';

let backend: Backend;
let pool: ReturnType<typeof openPool>;
const errors: Error[] = [];
beforeAll(async () => {
  backend = await openBackend('embedded:memory', { onError: (error) => errors.push(error) });
  pool = openPool(backend.leaseConnection.url, { max: 4, onError: (error) => errors.push(error) });
});
afterAll(async () => {
  await pool.end();
  await backend.close();
});

function job(index: number, data = JSON.stringify({ index, text: 'ünï "quoted" \\ \u2028' })): JobJson {
  return {
    id: `j_${index}`,
    name: 'greet',
    data,
    opts: { attempts: 4, backoff: { type: 'policy' }, removeOnComplete: false },
    progress: 0,
    attemptsMade: 0,
    attemptsStarted: 0,
    stalledCounter: 0,
    timestamp: 1_700_000_000_000 + index,
    failedReason: 'null',
    stacktrace: 'null',
    returnvalue: 'null',
  };
}

const urgent = (one: JobJson): JobJson => ({ ...one, opts: { ...one.opts, priority: 7 } });

/** A queue of BullMQ's own backend, with our statement or without; closed after its test. */
async function open(queue: string, isBatched: boolean) {
  if (!isPgPool(pool)) throw new TypeError('expected a pg.Pool');
  const stock = createPostgresBackend(queue, { connection: pool });
  // Also after it was closed: BullMQ passes on what the pool says, and an error that nobody listens to ends the run.
  stock.on('error', (error: Error) => errors.push(error));
  onTestFinished(() => stock.close());
  await stock.waitUntilReady();
  if (isBatched) batchPostgresAdds(stock, pool, queue);
  return stock;
}

/** Rows and events of a queue; what the server numbers is left out, the order is not. */
async function stored(queue: string): Promise<unknown> {
  const { rows: jobs } = await pool.query(
    `SELECT to_jsonb(j) - 'queue' - 'seq' AS job FROM bullmq.job j WHERE queue = $1 ORDER BY seq`,
    [queue],
  );
  const { rows: events } = await pool.query('SELECT event, data FROM bullmq.event WHERE queue = $1 ORDER BY id', [
    queue,
  ]);
  return { jobs, events };
}

it('outlives a connection that is lost while nobody uses it', async () => {
  await open('lost', true);
  const before = errors.length;
  const other = openPool(backend.leaseConnection.url, { max: 1, onError: (error) => errors.push(error) });
  await other.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
  );
  await expect.poll(() => errors.length).toBeGreaterThan(before);
  // The tests that follow find none that is about to end.
  await expect.poll(() => pool.totalCount).toBe(0);
  await other.end();
});

describe('adds that come together', () => {
  it("leave what BullMQ's own bulk leaves: rows, order, events, known ids", async () => {
    const seen: unknown[] = [];
    for (const isBatched of [false, true]) {
      const queue = isBatched ? 'bulk-ours' : 'bulk-stock';
      const own = await open(queue, isBatched);
      const entries = (from: number, count: number) =>
        Array.from({ length: count }, (_, offset) => ({ job: job(from + offset), jobId: `j_${from + offset}` }));
      const answers = [
        await own.addJobs(entries(0, 50)),
        await own.addJobs(entries(45, 10)),
        await own.addJobs(entries(50, 1)),
        await own.addJobs(entries(60, 5).map(({ job: one, jobId }) => ({ job: urgent(one), jobId }))),
      ];
      seen.push({ answers, stored: await stored(queue) });
    }
    expect(seen[1]).toEqual(seen[0]);
  });

  it('keep the order of the calls of one caller, one by one', async () => {
    const own = await open('one-by-one', true);
    for (let index = 0; index < 10; index += 1) expect(await own.addJob(job(index), `j_${index}`)).toBe(`j_${index}`);
    expect(await stored('one-by-one')).toMatchObject({
      jobs: Array.from({ length: 10 }, (_, index) => ({ job: { id: `j_${index}`, data: { index } } })),
    });
  });

  it('fail one by one: a payload that no store of this kind can hold takes nobody along', async () => {
    const own = await open('guilty', true);
    const calls = Array.from({ length: 20 }, (_, index) =>
      own.addJob(index === 7 ? job(index, '{"text":"a\\u0000b"}') : job(index), `j_${index}`),
    );
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.map(({ status }) => status)).toEqual(
      Array.from({ length: 20 }, (_, index) => (index === 7 ? 'rejected' : 'fulfilled')),
    );
    expect(await stored('guilty')).toMatchObject({
      jobs: expect.toSatisfy((jobs: unknown[]) => jobs.length === 19) as unknown,
    });
  });

  it('store a bulk whole or not at all', async () => {
    const own = await open('whole', true);
    const entries = Array.from({ length: 120 }, (_, index) => ({
      job: index === 119 ? job(index, '{"text":"a\\u0000b"}') : job(index),
      jobId: `j_${index}`,
    }));
    await expect(own.addJobs(entries)).rejects.toThrow(/unicode|\\u0000/i);
    expect(await stored('whole')).toEqual({ jobs: [], events: [] });
  });
});
