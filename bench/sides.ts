/** The two sides of the queue benches on one server: ours through client and workers, and raw BullMQ with the same options. */
import { randomUUID } from 'node:crypto';
import { type BackendFactory, createPostgresBackend, Queue, type RedisQueueBackend, Worker } from 'bullmq';
import { Pool } from 'pg';
import type { Backend } from '../backends/backend.ts';
import { openBackend } from '../backends/open.ts';
import { loadRegistry } from '../jobs/registry.ts';
import { createClient } from '../producers/client.ts';
import { createLog } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { openObjectStore } from '../runtime/open-object-store.ts';
import { workersEnv } from '../workers/env.ts';
import { startWorkers } from '../workers/main.ts';
import { handlerHooks } from './hooks.ts';
import type fairNoop from './jobs/fair-noop/job.ts';
import noop from './jobs/noop/job.ts';
import { type Payload, payload2K } from './payload.ts';
import type { Server } from './servers.ts';

export const concurrency = 50;

/** From the first start of a handler to the last end: what a start of the worker costs is not in it. */
export interface Drained {
  readonly ms: number;
  /** CPU of this process and of the server. */
  readonly cpuMicros: number;
}

/** CPU of this process and of the server so far, in µs. */
export function cpuMicros(server: Server): number {
  const own = process.cpuUsage();
  return own.user + own.system + server.cpuMicros();
}

export interface Side {
  readonly name: 'ours' | 'theirs';
  /** Adds `count` jobs of 2K in bulks of 500, of `tenants` tenants in turn where the side knows tenants (default: of none). */
  fill(count: number, tenants?: number): Promise<void>;
  /** Adds one job. */
  add(index: number): Promise<void>;
  addPayload(payload: Payload): Promise<void>;
  /** Adds 100 jobs in one call. */
  addBulk(index: number): Promise<void>;
  /** Starts one worker; its handler calls `handlerHooks`. `stop` waits for what runs. */
  work(): Promise<{ readonly stop: () => Promise<void> }>;
  /** Starts one worker and resolves when `count` jobs have ended. */
  drain(count: number): Promise<Drained>;
  /** Throws unless nothing waits, runs or has failed. */
  assertEmpty(): Promise<void>;
  /** Removes every job, so that rounds do not meet. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

// BullMQ's classes name the Redis instance as their default type.
const postgresFactory = createPostgresBackend as unknown as BackendFactory<RedisQueueBackend>;
const bulk = 500;
const retention = { age: 86_400, count: 10_000 };
const fail = (error: Error): void => void process.stderr.write(`${error.message}\n`);

async function fillInBulks(count: number, addMany: (indexes: readonly number[]) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < count; from += bulk) {
    await addMany(Array.from({ length: Math.min(bulk, count - from) }, (_, offset) => from + offset));
  }
}

/** Counts ends and knows when the first job started. */
function stopwatch(
  count: number,
  server: Server,
): { readonly start: () => void; readonly end: () => void; readonly done: Promise<Drained> } {
  let begun: { readonly at: number; readonly cpu: number } | undefined;
  let ends = 0;
  let finish: (drained: Drained) => void = () => undefined;
  const done = new Promise<Drained>((resolve) => {
    finish = resolve;
  });
  return {
    start: () => {
      begun ??= { at: performance.now(), cpu: cpuMicros(server) };
    },
    end: () => {
      ends += 1;
      if (ends === count && begun !== undefined)
        finish({ ms: performance.now() - begun.at, cpuMicros: cpuMicros(server) - begun.cpu });
    },
    done,
  };
}

async function drained(side: Pick<Side, 'work'>, count: number, server: Server): Promise<Drained> {
  const watch = stopwatch(count, server);
  handlerHooks.start = watch.start;
  handlerHooks.end = watch.end;
  const worker = await side.work();
  const took = await watch.done;
  await worker.stop();
  return took;
}

async function emptied(queue: Queue, name: string): Promise<void> {
  const counts = await queue.getJobCounts('waiting', 'active', 'failed', 'delayed', 'prioritized');
  if (Object.values(counts).some((count) => count > 0))
    throw new Error(`the run of ${name} is void: ${JSON.stringify(counts)}`);
}

export async function openOurs(server: Server, type: typeof noop | typeof fairNoop = noop): Promise<Side> {
  const backend: Backend = await openBackend(server.url, { onError: fail });
  const registry = await loadRegistry(new URL('./jobs/', import.meta.url));
  const metrics = createMetrics();
  const client = createClient({ backend, registry, metrics });
  const log = createLog({ name: 'bench', level: 'error', pretty: false });
  const objects = await openObjectStore('file:objects', { baseDir: `/tmp/jobfleet-bench-${randomUUID()}` });
  const queue = backend.queue(type.name);
  const side: Side = {
    name: 'ours',
    fill: (count, tenants) =>
      fillInBulks(count, (indexes) =>
        client.enqueueMany(
          type,
          indexes.map((index) => ({
            payload: payload2K(index),
            ...(tenants === undefined ? {} : { options: { tenant: `t${index % tenants}` } }),
          })),
        ),
      ),
    add: async (index) => void (await client.enqueue(type, payload2K(index))),
    addPayload: async (payload) => void (await client.enqueue(type, payload)),
    addBulk: async (index) =>
      void (await client.enqueueMany(
        type,
        Array.from({ length: 100 }, (_, offset) => ({ payload: payload2K(index + offset) })),
      )),
    work: async () => {
      const fleet = await startWorkers({
        registry,
        backend,
        client,
        objects,
        log,
        metrics,
        env: workersEnv.parse({}),
        handlerEnv: {},
        queues: [type.name],
      });
      return { stop: async () => void (await fleet.stop(10_000)) };
    },
    drain: (count) => drained(side, count, server),
    assertEmpty: () => emptied(queue, 'ours'),
    clear: () => queue.obliterate({ force: true }),
    close: async () => {
      await backend.close();
      await objects.close();
    },
  };
  return side;
}

export async function openTheirs(server: Server): Promise<Side> {
  const pool =
    server.name === 'redis'
      ? undefined
      : new Pool({ connectionString: server.url, max: 30, options: '-c search_path=bullmq,public' });
  pool?.on('error', fail);
  pool?.setMaxListeners(0);
  const address = new URL(server.url);
  const connection = pool ?? { host: address.hostname, port: Number(address.port), maxRetriesPerRequest: null };
  const removeOnComplete = server.name === 'redis' ? retention : false;
  const defaults = {
    attempts: 3,
    backoff: { type: 'exponential', delay: 1_000 },
    removeOnComplete,
    removeOnFail: false,
  };
  const queue: Queue =
    pool === undefined
      ? new Queue('raw', {
          connection: { host: address.hostname, port: Number(address.port) },
          defaultJobOptions: defaults,
        })
      : new Queue('raw', { connection: pool, defaultJobOptions: defaults }, postgresFactory);
  await queue.waitUntilReady();
  const side: Side = {
    name: 'theirs',
    fill: (count) =>
      fillInBulks(count, (indexes) => queue.addBulk(indexes.map((index) => ({ name: 'raw', data: payload2K(index) })))),
    add: async (index) => void (await queue.add('raw', payload2K(index))),
    addPayload: async (payload) => void (await queue.add('raw', payload)),
    addBulk: async (index) =>
      void (await queue.addBulk(
        Array.from({ length: 100 }, (_, offset) => ({ name: 'raw', data: payload2K(index + offset) })),
      )),
    work: async () => {
      const options = { concurrency, autorun: true };
      const processor = async ({ data }: { data: Payload }): Promise<null> => {
        handlerHooks.start(data);
        if (handlerHooks.work !== undefined) await handlerHooks.work();
        handlerHooks.end();
        return null;
      };
      const worker =
        pool === undefined
          ? new Worker('raw', processor, { ...options, connection })
          : new Worker('raw', processor, { ...options, connection: pool }, postgresFactory);
      worker.on('error', fail);
      await worker.waitUntilReady();
      return { stop: () => worker.close() };
    },
    drain: (count) => drained(side, count, server),
    assertEmpty: () => emptied(queue, 'raw BullMQ'),
    clear: () => queue.obliterate({ force: true }),
    close: async () => {
      await queue.close();
      await pool?.end();
    },
  };
  return side;
}
