import type { Job as StoredJob } from 'bullmq';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Backend } from './backend.ts';
import { openBackend } from './open.ts';
import { openPool } from './postgres-pool.ts';

let backend: Backend;
let pool: ReturnType<typeof openPool>;
const errors: Error[] = [];
beforeAll(async () => {
  backend = await openBackend('embedded:memory', { onError: (error) => errors.push(error) });
  pool = openPool(backend.leaseConnection.url, { max: 1, onError: (error) => errors.push(error) });
});
afterAll(async () => {
  await pool.end();
  await backend.close();
});

const until = (check: () => unknown) => vi.waitFor(check, { timeout: 15_000, interval: 20 });

async function add(queue: string, count: number): Promise<void> {
  await backend.addMany([
    {
      queue,
      jobs: Array.from({ length: count }, (_, index) => ({
        id: `${queue}_${index}`,
        name: queue,
        json: '{}',
        timestamp: Date.now(),
        options: {},
      })),
    },
  ]);
}

function work(queue: string, concurrency: number, processor: (job: StoredJob) => Promise<unknown>) {
  const { worker } = backend.worker(queue, processor, { concurrency, leaseMs: 30_000, backoff: () => -1 });
  const failed = new Map<string, string>();
  worker.on('failed', (job, error) => failed.set(String(job?.id), error.message));
  const running = worker.run();
  return {
    failed,
    stop: async () => {
      await worker.close();
      await running;
    },
  };
}

/** Transactions of this database that were committed, by the server's own count. */
async function commits(): Promise<number> {
  const { rows } = await pool.query<{ n: number }>(
    'SELECT xact_commit::float8 AS n FROM pg_stat_database WHERE datname = current_database()',
  );
  return rows[0]?.n ?? Number.NaN;
}

describe('completions that come together', () => {
  it('share commits: 400 jobs end, each once, in far fewer', async () => {
    await add('shared', 400);
    const before = await commits();
    const runs = new Map<string, number>();
    const worker = work('shared', 50, async (job) => {
      runs.set(String(job.id), (runs.get(String(job.id)) ?? 0) + 1);
      return { n: runs.size };
    });
    await until(async () => expect(await backend.queue('shared').getCompletedCount()).toBe(400));
    await worker.stop();
    expect(runs.size).toBe(400);
    expect(new Set(runs.values())).toEqual(new Set([1]));
    const done = await backend.queue('shared').getJob('shared_7');
    expect(done?.returnvalue).toEqual({ n: expect.any(Number) as number });
    expect(done?.finishedOn).toBeGreaterThanOrEqual(done?.processedOn ?? Number.NaN);
    // The counts come in a moment after; single completions would make 400 and more.
    await until(async () => expect(await commits()).toBeGreaterThan(before));
    expect((await commits()) - before).toBeLessThan(300);
  });

  it('a lost lock and a result that cannot be stored fail alone; their neighbours end', async () => {
    await add('guilty', 60);
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    let started = 0;
    const worker = work('guilty', 20, async (job) => {
      started += 1;
      if (started === 20) open();
      await gate;
      if (job.id === 'guilty_3')
        await pool.query(`UPDATE bullmq.job SET lock_token = 'another' WHERE queue = 'guilty' AND id = 'guilty_3'`);
      // Let the twenty of the first round end in one turn.
      await new Promise((resolve) => setTimeout(resolve, 50));
      return job.id === 'guilty_5' ? { text: 'a\u0000b' } : { ok: true };
    });
    await until(async () => expect(await backend.queue('guilty').getCompletedCount()).toBe(58));
    await until(() => expect(worker.failed.has('guilty_5')).toBe(true));
    const lost = await backend.queue('guilty').getJob('guilty_3');
    expect(await lost?.getState()).toBe('active');
    expect(await (await backend.queue('guilty').getJob('guilty_5'))?.getState()).toBe('failed');
    await worker.stop();
  });
});
