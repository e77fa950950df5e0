/** The peer of every queue bench: BullMQ's own `Queue` and `Worker`, the same version as ours, with the same options. */
import { type BackendFactory, createPostgresBackend, Queue, type RedisQueueBackend, Worker } from 'bullmq';
import { Pool } from 'pg';
import type { Payload } from './payload.ts';
import type { Server } from './servers.ts';
import { concurrency, countsOf, handle, retrying, type Side } from './side.ts';

export interface BullmqOptions {
  /** Default 50. */
  readonly atOnce?: number;
  /** `none`: completed jobs are removed. Default: a day, at most 10,000; on PostgreSQL all, as ours are swept beside the jobs. */
  readonly keep?: 'none';
  /** Counts jobs for charts, as ours does. Default false. */
  readonly charts?: boolean;
}

// BullMQ's classes name the Redis instance as their default type.
const postgresFactory = createPostgresBackend as unknown as BackendFactory<RedisQueueBackend>;
const fail = (error: Error): void => void process.stderr.write(`${error.message}\n`);

export async function openBullmq(
  server: Pick<Server, 'name' | 'url'>,
  { atOnce = concurrency, keep, charts = false }: BullmqOptions = {},
): Promise<Side> {
  const isRedis = server.name === 'redis';
  const pool = isRedis
    ? undefined
    : new Pool({ connectionString: server.url, max: 30, options: '-c search_path=bullmq,public' });
  pool?.on('error', fail);
  pool?.setMaxListeners(0);
  const address = new URL(server.url);
  const redis = { host: address.hostname, port: Number(address.port) };
  const defaultJobOptions = {
    attempts: retrying.attempts,
    backoff: { type: 'exponential', delay: retrying.delayMs },
    removeOnComplete: keep === 'none' || (isRedis && { age: 86_400, count: 10_000 }),
    removeOnFail: false,
  };
  const queue: Queue =
    pool === undefined
      ? new Queue('raw', { connection: redis, defaultJobOptions })
      : new Queue('raw', { connection: pool, defaultJobOptions }, postgresFactory);
  await queue.waitUntilReady();
  return {
    name: 'BullMQ',
    add: async (payload) => void (await queue.add('raw', payload)),
    addMany: async (payloads) => void (await queue.addBulk(payloads.map((data) => ({ name: 'raw', data })))),
    work: async () => {
      const options = {
        concurrency: atOnce,
        autorun: true,
        ...(charts ? { metrics: { maxDataPoints: 1_440 } } : {}),
      };
      const processor = ({ data }: { data: Payload }): Promise<null> => handle(data);
      const worker =
        pool === undefined
          ? new Worker('raw', processor, { ...options, connection: { ...redis, maxRetriesPerRequest: null } })
          : new Worker('raw', processor, { ...options, connection: pool }, postgresFactory);
      worker.on('error', fail);
      await worker.waitUntilReady();
      return { stop: () => worker.close() };
    },
    counts: () => countsOf(queue),
    clear: () => queue.obliterate({ force: true }),
    close: async () => {
      await queue.close();
      await pool?.end();
    },
  };
}
