/**
 * Batched script calls leave in Redis what BullMQ's single ones leave, and a lost answer changes nothing. Long because all
 * of it is compared key by key on one bench.
 */
import { randomBytes } from 'node:crypto';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { createRedisBackend, type JobJson, type MinimalJob, type RedisQueueBackend } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Backend } from './backend.ts';
import { addInTurn, type JobInTurn, type Turn } from './fairness.ts';
import { redisTags } from './fairness-redis.ts';
import { openBackend } from './open.ts';
import { batchRedisAdds } from './redis-batched-adds.ts';
import { batchRedisEnds } from './redis-batched-ends.ts';
import { tenantNotes } from './tenant-index.ts';

const url = process.env['TEST_REDIS_URL'];

const until = (check: () => unknown) => vi.waitFor(check, { timeout: 30_000, interval: 20 });
const fail = (error: Error) => {
  throw error;
};

type Dump = Record<string, unknown>;

describe.skipIf(url === undefined)('batched script calls', () => {
  let client: Redis;
  const queues = new Set<string>();
  const queueName = () => {
    const name = `batching-${randomBytes(4).toString('hex')}`;
    queues.add(name);
    return name;
  };
  beforeAll(() => {
    client = new Redis(url ?? '', { maxRetriesPerRequest: null });
    client.on('error', () => undefined);
  });
  afterAll(async () => {
    for (const queue of queues) {
      const keys = await client.keys(`*bull:${queue}:*`);
      if (keys.length > 0) await client.del(keys);
    }
    await client.quit();
  });

  describe('leave what single calls leave', () => {
    const start = Date.UTC(2026, 0, 1);
    let now = start;
    beforeEach(() => {
      now = start;
      vi.useFakeTimers({ toFake: ['Date'], now });
    });
    afterEach(() => void vi.useRealTimers());
    const pass = (ms: number) => {
      now += ms;
      vi.setSystemTime(now);
    };

    interface Bench {
      readonly backend: RedisQueueBackend;
      readonly add: (from: number, count: number, opts?: JobJson['opts'], turn?: Turn) => Promise<string[]>;
      readonly claim: (count: number) => Promise<void>;
      /** Ends the given jobs together; each answer is the id of the next job, or the error. */
      readonly end: (
        ids: readonly string[],
        keep: Parameters<RedisQueueBackend['moveToCompleted']>[2],
        fetchNext?: boolean,
      ) => Promise<unknown[]>;
    }

    async function open(batched: boolean): Promise<Bench> {
      const settings = { connection: client, lockDuration: 30_000, metrics: { maxDataPoints: 100 }, name: 'w1' };
      const queue = queueName();
      const backend = createRedisBackend(queue, settings);
      await backend.waitUntilReady();
      addInTurn(
        backend,
        queue,
        redisTags(client, (name, part) => `bull:${name}:${part}`),
      );
      if (batched) {
        batchRedisAdds(backend, { line: client, note: tenantNotes(client), queue });
        batchRedisEnds(backend, client, {
          concurrency: 20,
          lockDuration: 30_000,
          maxDataPoints: 100,
          workerName: 'w1',
        });
      }
      const tokens = new Map<string, string>();
      let claims = 0;
      const job = (index: number, opts: JobJson['opts']): JobJson => ({
        id: `j_${index}`,
        name: 'noop',
        data: JSON.stringify({ index, text: 'ünï\u0000' }),
        opts: { attempts: 4, backoff: { type: 'custom' }, ...opts },
        progress: 0,
        attemptsMade: 0,
        attemptsStarted: 0,
        stalledCounter: 0,
        timestamp: now,
        failedReason: 'null',
        stacktrace: 'null',
        returnvalue: 'null',
        ...(opts.deduplication === undefined ? {} : { deduplicationId: opts.deduplication.id }),
      });
      return {
        backend,
        add: (from, count, opts = {}, turn) =>
          Promise.all(
            Array.from({ length: count }, (_, offset) => {
              const made: JobInTurn = { ...job(from + offset, opts), ...(turn === undefined ? {} : { turn }) };
              return backend.addJob(made, made.id ?? '');
            }),
          ),
        async claim(count) {
          for (let index = 0; index < count; index += 1) {
            claims += 1;
            const [, id] = await backend.moveToActive(`claim-${claims}`, 'w1');
            tokens.set(String(id), `claim-${claims}`);
          }
        },
        end: (ids, keep, fetchNext = true) =>
          Promise.all(
            ids.map(async (id) => {
              const minimal: MinimalJob = { id, opts: { attempts: 4 }, asJSON: fail, toJSON: fail } as never;
              const token = tokens.get(id) ?? 'nobody';
              try {
                const { result, finishedOn } = await backend.moveToCompleted(
                  minimal,
                  { of: id },
                  keep,
                  token,
                  fetchNext,
                );
                const [json, next, limited, due]: unknown[] = result ?? [];
                if (json !== null && json !== undefined) tokens.set(String(next), token);
                return { json, next: json === null ? undefined : next, limited, due, finishedOn };
              } catch (error) {
                return String(error);
              }
            }),
          ),
      };
    }

    async function dump(queue: string): Promise<Dump> {
      const all: Dump = {};
      const found = [
        ...(await client.keys(`bull:${queue}:*`)),
        ...(await client.keys(`jobfleet:tags:bull:${queue}:*`)),
      ];
      for (const key of found.toSorted()) {
        const short = key.replace(`bull:${queue}:`, '');
        const type = await client.type(key);
        if (type === 'hash') {
          const fields = await client.hgetall(key);
          const { opts, ...others } = fields;
          all[short] = opts === undefined ? others : { ...others, opts: JSON.parse(opts) as unknown };
        } else if (type === 'list') all[short] = await client.lrange(key, 0, -1);
        else if (type === 'set') all[short] = (await client.smembers(key)).toSorted();
        else if (type === 'zset') all[short] = await client.zrange(key, '0', '-1', 'WITHSCORES');
        else if (type === 'stream') all[short] = eventsByJob(await client.xrange(key, '-', '+'));
        else all[short] = await client.get(key);
      }
      return all;
    }

    /** The order between jobs of one batch may differ, that of one job's events may not. */
    function eventsByJob(entries: [string, string[]][]): Dump {
      const events: Record<string, string[]> = {};
      for (const [, fields] of entries) {
        const at = fields.indexOf('jobId');
        (events[at < 0 ? '' : (fields[at + 1] ?? '')] ??= []).push(fields.join(' '));
      }
      // Each single call may say that the queue is drained; a batch says it once.
      return { ...events, '': Array.from(new Set(events[''])) };
    }

    async function onBoth(run: (bench: Bench) => Promise<unknown>): Promise<{ stock: unknown; batched: unknown }> {
      const seen: unknown[] = [];
      for (const batched of [false, true]) {
        now = start;
        vi.setSystemTime(now);
        const bench = await open(batched);
        const answers = await run(bench);
        seen.push({ answers, redis: await dump(bench.backend.keys['wait']?.split(':')[1] ?? '') });
        await bench.backend.close();
      }
      return { stock: seen[0], batched: seen[1] };
    }

    it('200 operations: adds alone and together, known ids, claims, ends with a next job, wrong and missing locks', async () => {
      const { stock, batched } = await onBoth(async ({ add, claim, end, backend }) => {
        const answers: unknown[] = [await add(0, 60), await add(55, 10), await add(100, 1)];
        answers.push(await add(200, 5, { priority: 3 }), await add(210, 3, { delay: 5_000 }));
        answers.push(await add(203, 5, { priority: 2 }), await add(220, 1, { priority: 2_097_151 }));
        await claim(20);
        const ids = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `j_${from + index}`);
        pass(10);
        answers.push(await end(ids(0, 20), { age: 86_400, count: 10_000 }));
        pass(10);
        answers.push(await end([...ids(20, 30), 'j_50', 'nowhere'], { age: 86_400, count: 10_000 }));
        await client.set(`${backend.keys['']}j_30:lock`, 'another');
        await client.del(`${backend.keys['']}j_31:lock`);
        pass(10);
        answers.push(await end(ids(30, 40), false));
        pass(6_000); // the delayed ones are due
        answers.push(await end(ids(40, 50), true));
        pass(10);
        answers.push(await end(['j_50', 'j_51', 'j_52'], { count: 5 }, false));
        return answers;
      });
      expect(batched).toEqual(stock);
    });

    it('jobs in turn: two flows, levels, a delayed one among them, and the queue empty in between', async () => {
      const { stock, batched } = await onBoth(async ({ add, claim, end }) => {
        const answers: unknown[] = [
          await add(0, 1, {}, { flow: 'acme', cost: 2 }),
          await add(1, 7, {}, { flow: 'acme', cost: 2 }),
          await add(10, 3, {}, { flow: 'globex', cost: 0.5 }),
          await add(20, 2, { attempts: 1 }, { flow: 'acme high', cost: 1 }),
          await add(30, 1, { delay: 1_000 }, { flow: 'globex', cost: 2 }),
          await add(40, 2),
        ];
        await claim(15);
        answers.push(await end(['j_0', 'j_10', 'j_20'], true));
        pass(2_000);
        await claim(1);
        answers.push(await add(50, 1, {}, { flow: 'acme', cost: 2 }));
        return answers;
      });
      expect(batched).toEqual(stock);
    });

    it('an id that is known takes no turn, and jobs that come together to an empty queue take one each', async () => {
      const { add, backend } = await open(true);
      const turn = { flow: 'acme', cost: 2 };
      await add(0, 2, {}, turn);
      await add(0, 2, {}, turn);
      await add(2, 1, {}, turn);
      const found = await Promise.all(
        [0, 1, 2].map((index) => client.hget(`${backend.keys['']}j_${index}`, 'priority')),
      );
      expect(found).toEqual(['2', '4', '6']);
      await backend.close();
    });

    it('retention by age and by count', async () => {
      const { stock, batched } = await onBoth(async ({ add, claim, end }) => {
        await add(0, 40);
        await claim(10);
        const answers: unknown[] = [];
        for (let from = 0; from < 30; from += 10) {
          pass(1_500);
          answers.push(
            await end(
              Array.from({ length: 10 }, (_, index) => `j_${from + index}`),
              { age: 2, count: 15 },
            ),
          );
        }
        return answers;
      });
      expect(batched).toEqual(stock);
    });

    it('a drained queue, with delayed jobs and without', async () => {
      const { stock, batched } = await onBoth(async ({ add, claim, end }) => {
        await add(0, 3);
        await claim(3);
        const first = await end(['j_0', 'j_1', 'j_2'], false);
        await add(10, 2);
        await add(20, 1, { delay: 60_000 });
        await claim(2);
        return [first, await end(['j_10', 'j_11'], false)];
      });
      expect(batched).toEqual(stock);
    });

    it('a paused queue, and one with a limit', async () => {
      const { stock, batched } = await onBoth(async ({ add, claim, end, backend }) => {
        await add(0, 20);
        await claim(6);
        await backend.pause(true);
        await add(30, 3);
        const paused = await end(['j_0', 'j_1', 'j_2'], false);
        await backend.pause(false);
        await backend.setQueueMeta({ concurrency: 4 });
        await add(40, 3);
        return [paused, await end(['j_3', 'j_4', 'j_5'], false)];
      });
      expect(batched).toEqual(stock);
    });

    it('a job with a deduplication key among others', async () => {
      const { stock, batched } = await onBoth(async ({ add, claim, end }) => {
        await add(0, 1, { deduplication: { id: 'only' } });
        const again = await add(1, 1, { deduplication: { id: 'only' } });
        await add(2, 4);
        await claim(3);
        return [again, await end(['j_0', 'j_2', 'j_3'], false, false)];
      });
      expect(batched).toEqual(stock);
    });
  });

  it('stock and batched workers share a queue: every job once', async () => {
    const name = queueName();
    const mixed = await Promise.all(
      [true, false].map((batching) => openBackend(url ?? '', { batching, onError: fail })),
    );
    const runs = new Map<string, number>();
    const started = mixed.map((backend) => {
      const { worker } = backend.worker(
        name,
        async (job) => {
          runs.set(String(job.id), (runs.get(String(job.id)) ?? 0) + 1);
          await new Promise((resolve) => setImmediate(resolve));
          return { ok: true };
        },
        { concurrency: 20, leaseMs: 30_000, backoff: () => 1 },
      );
      void worker.run();
      return worker;
    });
    await Promise.all(
      mixed.flatMap((backend, half) =>
        Array.from({ length: 1_000 }, (_, index) => {
          const id = `m_${half}_${index}`;
          return backend.add(name, { id, name, json: '{}', timestamp: Date.now(), options: {} });
        }),
      ),
    );
    await until(() => expect(runs.size).toBe(2_000));
    await until(async () => expect(await mixed[0]?.queue(name).getCompletedCount()).toBe(2_000));
    expect(new Set(runs.values())).toEqual(new Set([1]));
    await Promise.all(started.map((worker) => worker.close()));
    await Promise.all(mixed.map((backend) => backend.close()));
  });

  describe('through a connection that is cut before the answer comes', () => {
    let backend: Backend;
    let proxy: Server;
    const cut = { armed: false, count: 0 };
    beforeAll(async () => {
      const target = new URL(url ?? '');
      proxy = createServer((near: Socket) => {
        const far = dial(Number(target.port || 6_379), target.hostname);
        let cutting = false;
        const end = () => {
          near.destroy();
          far.destroy();
        };
        for (const socket of [near, far]) socket.on('error', end).on('close', end);
        near.on('data', (chunk: Buffer) => {
          // Only calls of scripts: the blocking wait of a worker is nobody's loss.
          if (cut.armed && chunk.includes('evalsha')) {
            cut.armed = false;
            cutting = true;
          }
          far.write(chunk);
        });
        far.on('data', (chunk) => {
          if (cutting) {
            cut.count += 1;
            return end();
          }
          near.write(chunk);
        });
      });
      await new Promise<void>((resolve) => void proxy.listen(0, '127.0.0.1', resolve));
      const address = proxy.address();
      if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
      backend = await openBackend(`redis://127.0.0.1:${address.port}${target.pathname}`, { onError: () => undefined });
    });
    afterAll(async () => {
      await backend.close();
      proxy.close();
    });

    it('loses no job, runs none twice and reports none as failed, 60 times', async () => {
      const name = queueName();
      const runs = new Map<string, number>();
      const failed: unknown[] = [];
      const { worker } = backend.worker(
        name,
        async (job) => {
          runs.set(String(job.id), (runs.get(String(job.id)) ?? 0) + 1);
          await new Promise((resolve) => setImmediate(resolve));
          if (cut.count < 60 && Math.random() < 0.02) cut.armed = true;
        },
        { concurrency: 20, leaseMs: 1_000, backoff: () => 1 },
      );
      worker.on('failed', (job, error) => failed.push([job?.id, error]));
      void worker.run();
      let added = 0;
      while (cut.count < 60) {
        const ids = Array.from({ length: 100 }, () => `c_${(added += 1)}`);
        await Promise.all(
          ids.map((id) => backend.add(name, { id, name, json: '{}', timestamp: Date.now(), options: {} })),
        );
        await until(() => expect(runs.size).toBeGreaterThan(added - 60));
      }
      await until(() => expect(runs.size).toBe(added));
      await until(async () => expect(await client.zcard(`bull:${name}:completed`)).toBe(added));
      expect(new Set(runs.values())).toEqual(new Set([1]));
      expect(failed).toEqual([]);
      expect(await client.llen(`bull:${name}:active`)).toBe(0);
      await worker.close();
    }, 120_000);
  });
});
