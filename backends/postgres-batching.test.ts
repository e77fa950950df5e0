import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Backend } from './backend.ts';
import { openBackend } from './open.ts';

/** Batched or not, on one database. */
let batched: Backend;
let stock: Backend;
const errors: Error[] = [];
const onError = (error: Error) => void errors.push(error);
beforeAll(async () => {
  batched = await openBackend('embedded:memory', { onError });
  stock = await openBackend(batched.leaseConnection.url, { onError, batching: false });
});
afterAll(async () => {
  await stock.close();
  await batched.close();
  expect(errors).toEqual([]);
});

const job = (name: string, index: number) => {
  return { id: `j_${index}`, name, json: '{}', timestamp: Date.now(), options: {} };
};

/** In how many transactions the jobs of a queue got what they say now. */
async function commits(queue: string): Promise<number> {
  const rows = await batched.sql?.run<{ count: number }>(
    'SELECT count(DISTINCT xmin::text)::int AS count FROM bullmq.job WHERE queue = $1',
    [queue],
    { timeoutMs: 5_000, mayRepeat: true },
  );
  return rows?.[0]?.count ?? Number.NaN;
}

async function addTogether(backend: Backend, queue: string, ids: readonly number[]): Promise<void> {
  await Promise.all(ids.map((id) => backend.add(queue, job(queue, id))));
}

async function runAll(backends: readonly Backend[], queue: string, count: number): Promise<Map<string, number>> {
  const runs = new Map<string, number>();
  const workers = backends.map((backend) => {
    const { worker } = backend.worker(
      queue,
      async ({ id }) => {
        runs.set(String(id), (runs.get(String(id)) ?? 0) + 1);
        await new Promise((resolve) => setImmediate(resolve));
      },
      { concurrency: 20, leaseMs: 30_000, backoff: () => 1 },
    );
    void worker.run();
    return worker;
  });
  await vi.waitFor(async () => expect(await batched.queue(queue).getCompletedCount()).toBe(count), 30_000);
  await Promise.all(workers.map((worker) => worker.close()));
  return runs;
}

const ids = Array.from({ length: 60 }, (_, index) => index);

describe('calls that come together', () => {
  it('share commits, adds and completions alike', async () => {
    await addTogether(batched, 'shared', ids);
    expect(await commits('shared')).toBeLessThan(20);
    await runAll([batched], 'shared', ids.length);
    expect(await commits('shared')).toBeLessThan(40);
  });

  it("take a commit each with `batching: false`, as BullMQ's own do", async () => {
    await addTogether(stock, 'single', ids);
    expect(await commits('single')).toBe(ids.length);
    await runAll([stock], 'single', ids.length);
    expect(await commits('single')).toBe(ids.length);
  });

  it('of batched and of stock processes on one queue run every job once', async () => {
    await Promise.all([
      addTogether(batched, 'mixed', ids),
      addTogether(
        stock,
        'mixed',
        ids.map((id) => id + 1_000),
      ),
    ]);
    const runs = await runAll([batched, stock], 'mixed', 2 * ids.length);
    expect(runs.size).toBe(2 * ids.length);
    expect(new Set(runs.values())).toEqual(new Set([1]));
  });
});
