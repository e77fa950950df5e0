/**
 * The peer: BullMQ as its documentation shows it (one Worker, attempts with exponential backoff, `close()` on SIGTERM,
 * custom job ids), on the same kind of server. Two settings are ours, so that both sides can recover equally fast: the
 * lock and how often it is checked.
 */
import {
  type BackendFactory,
  createPostgresBackend,
  Queue,
  type QueueOptions,
  type RedisQueueBackend,
  runMigrations,
  Worker,
  type WorkerOptions,
} from 'bullmq';
import { Cluster, Redis } from 'ioredis';
import { Pool } from 'pg';
import { openStates } from './logs.ts';
import type { Work } from './plan.ts';
import { countJobs, jobsOf } from './records.ts';
import type { Side, SideSettings } from './side.ts';
import { noteEnds } from './side-ours.ts';
import { openSink } from './sink-client.ts';
import type { StockAddress } from './types.ts';
import { countErrors, type ErrorCount } from './vitals.ts';
import { work } from './work.ts';

const name = 'load';
const say = (error: Error): void =>
  void process.stderr.write(`{"level":"error","msg":${JSON.stringify(error.message)}}\n`);

// BullMQ's classes name the Redis instance as their default type.
const postgresFactory = createPostgresBackend as unknown as BackendFactory<RedisQueueBackend>;

interface Line {
  readonly connection: QueueOptions['connection'];
  readonly factory?: BackendFactory<RedisQueueBackend>;
  readonly prefix?: string;
  close(): Promise<void>;
}

async function openLine(address: StockAddress, errors: ErrorCount): Promise<Line> {
  switch (address.kind) {
    case 'postgres': {
      const pool = new Pool({ connectionString: address.url, max: 30, options: '-c search_path=bullmq,public' });
      pool.on('error', say);
      errors.watch(pool);
      pool.setMaxListeners(0);
      await migrate(pool);
      return { connection: pool, factory: postgresFactory, close: () => pool.end() };
    }
    case 'cluster': {
      const nodes = address.ports.map((port) => ({ host: '127.0.0.1', port }));
      const cluster = new Cluster(nodes, { redisOptions: { maxRetriesPerRequest: null } });
      cluster.on('error', say);
      errors.watch(cluster);
      return { connection: cluster, prefix: '{bull}', close: async () => cluster.disconnect() };
    }
    case 'sentinel': {
      const sentinels = address.ports.map((port) => ({ host: '127.0.0.1', port }));
      const client = new Redis({ sentinels, name: address.master, maxRetriesPerRequest: null });
      client.on('error', say);
      errors.watch(client);
      return { connection: client, close: async () => client.disconnect() };
    }
    case 'redis':
      return {
        connection: { host: address.host, port: address.port, maxRetriesPerRequest: null },
        close: async () => undefined,
      };
  }
}

async function migrate(pool: Pool): Promise<void> {
  const client = await pool.connect();
  try {
    await runMigrations(client);
  } finally {
    client.release();
  }
}

export async function openStock(settings: SideSettings): Promise<Side> {
  const errors = countErrors();
  const line = await openLine(settings.stock, errors);
  const shared = { connection: line.connection, ...(line.prefix === undefined ? {} : { prefix: line.prefix }) };
  const options = {
    ...shared,
    defaultJobOptions: { attempts: 4, backoff: { type: 'exponential', delay: 200 } },
  };
  const queue = line.factory === undefined ? new Queue(name, options) : new Queue(name, options, line.factory);
  queue.on('error', say);
  errors.watch(queue);
  await queue.waitUntilReady();
  return {
    add: async (job, delayMs) => {
      const added = await queue.add(name, job, {
        jobId: job.key,
        ...(delayMs === undefined ? {} : { delay: delayMs }),
      });
      return { id: added.id ?? '', duplicate: false };
    },
    counts: () => countJobs(queue),
    records: () => jobsOf(queue),
    async startWorker() {
      const worker = openWorker(settings, shared, line.factory);
      errors.watch(worker);
      await worker.waitUntilReady();
      return {
        // Its documentation names no sign of a loop that has stopped.
        live: () => undefined,
        counters: async () => ({ errors: errors.count() }),
        declare: () => Promise.reject(new Error('its schedulers are not compared')),
        async stop() {
          await worker.close();
          await queue.close();
          await line.close();
        },
      };
    },
    async close() {
      await queue.close();
      await line.close();
    },
  };
}

function openWorker(
  settings: SideSettings,
  shared: Pick<WorkerOptions, 'connection' | 'prefix'>,
  factory: BackendFactory<RedisQueueBackend> | undefined,
): Worker {
  const sink = openSink(settings.sinkPort);
  const note = openStates(settings.folder);
  const processor = async (job: { readonly id?: string; readonly data: Work; readonly attemptsStarted: number }) => {
    await work(job.data, {
      id: job.id ?? '',
      claim: job.attemptsStarted,
      fence: undefined,
      signal: undefined,
      once: (_key, effect) => effect(),
      sink,
    });
    return { fence: job.attemptsStarted };
  };
  const options = {
    ...shared,
    concurrency: settings.concurrency,
    lockDuration: settings.leaseMs,
    stalledInterval: settings.leaseMs / 2,
  };
  const worker =
    factory === undefined ? new Worker(name, processor, options) : new Worker(name, processor, options, factory);
  worker.on('error', say);
  noteEnds(worker, note);
  return worker;
}
