/** The store on Redis: BullMQ's keys under `bull:`, ours under `jobfleet:`. */
import { setTimeout as wait } from 'node:timers/promises';
import { createRedisBackend } from 'bullmq';
import { Redis } from 'ioredis';
import { type Backend, type BackendOptions, capabilities } from './backend.ts';
import { createClasses, type StoreFactory } from './bullmq.ts';
import { redisControl } from './control-redis.ts';
import { redisFailed } from './failed-redis.ts';
import { redisRecords } from './records-redis.ts';
import { BackendError, errorText, reportOnce, shownUrl } from './unreachable.ts';

const prefix = 'bull';
/** How long a close may wait for BullMQ before connections are cut; the caller has ended its jobs by then. */
const closeLimitMs = 5_000;

/** Completed jobs stay a day, at most 10,000 per queue. Age in seconds, as BullMQ wants it. */
const removeOnComplete = { age: 86_400, count: 10_000 };

/** Connects and answers, or throws `BackendError`. Needs Redis 6.2 or newer; `rediss:` verifies the certificate. */
export async function openRedis(url: string, options: BackendOptions): Promise<Backend> {
  const onError = reportOnce(options.onError);
  const client = await connect(url, onError);
  const lines = openLines(client, onError);
  const factory: StoreFactory = (name, settings, wants) => {
    const blocks = wants.blocking === true || wants.withBlockingConnection === true;
    return createRedisBackend(name, { ...settings, connection: blocks ? lines.patient() : client }, wants);
  };
  const classes = createClasses({ factory, removeOnComplete, onError });
  const control = redisControl(client, lines.open, onError);
  let closing: Promise<void> | undefined;
  const close = async () => {
    await orAfter(closeLimitMs, classes.close());
    await control.close();
    await lines.close();
    await hangUp(client);
  };
  return {
    ...classes,
    kind: 'redis',
    capabilities: capabilities.redis,
    // Head of the queue.
    handBack: async (job, token) => {
      await job.moveToWait(token);
    },
    records: redisRecords(client),
    control,
    failed: redisFailed(client, prefix),
    leaseConnection: { kind: 'redis', url, prefix },
    chores: [],
    now: () => askTime(client),
    async ping() {
      try {
        await client.ping();
      } catch (error) {
        throw explain(url, error);
      }
    },
    close: () => (closing ??= close()),
  };
}

async function askTime(client: Redis): Promise<number> {
  const [seconds, micros] = await client.time();
  return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
}

/**
 * One connected client, or `BackendError` at the first refusal: later losses are retried, a wrong address is not.
 * Commands are held for about 4 s while a lost Redis comes back, then fail.
 */
export async function connect(url: string, onError: (error: Error) => void): Promise<Redis> {
  let connected = false;
  const client = new Redis(url, {
    connectTimeout: 5_000,
    keepAlive: 10_000,
    lazyConnect: true,
    maxRetriesPerRequest: 8,
    // Also bounds how long a command is held: ioredis fails what waits at every ninth try.
    retryStrategy: (times) => (connected ? Math.min(times * 100, 500) : null),
  });
  let cause: unknown;
  const note = (error: Error) => {
    cause = error;
  };
  client.on('error', note);
  try {
    await client.connect();
    await client.ping();
  } catch (error) {
    client.disconnect();
    // ioredis rejects with "Connection is closed." and tells the reason only as an event.
    throw explain(url, cause ?? error);
  }
  connected = true;
  client.off('error', note);
  return listened(client, onError);
}

interface Lines {
  /** A connection of its own whose commands wait for as long as it takes. */
  readonly open: () => Redis;
  /** The one that BullMQ's workers and event readers share and copy: they must never give up on a command. */
  readonly patient: () => Redis;
  close(): Promise<void>;
}

/** Every connection beside the first. Copies that BullMQ makes are kept track of, so that all can be cut when Redis is gone. */
function openLines(client: Redis, onError: (error: Error) => void): Lines {
  const opened = new Set<Redis>();
  const open = (): Redis => {
    const line = listened(client.duplicate({ maxRetriesPerRequest: null }), onError);
    opened.add(line);
    line.on('end', () => opened.delete(line));
    return line;
  };
  let patient: Redis | undefined;
  const openPatient = (): Redis => {
    const line = open();
    const copy = line.duplicate.bind(line);
    line.duplicate = (override) => {
      const copied = listened(copy(override), onError);
      opened.add(copied);
      return copied;
    };
    return line;
  };
  return {
    open,
    patient: () => (patient ??= openPatient()),
    close: async () => {
      await Promise.all(Array.from(opened, hangUp));
    },
  };
}

/** Every client needs a listener, or a lost connection ends the process. BullMQ adds three listeners per class. */
function listened(client: Redis, onError: (error: Error) => void): Redis {
  client.on('error', onError);
  client.setMaxListeners(0);
  return client;
}

async function hangUp(client: Redis): Promise<void> {
  if (client.status === 'ready') await orAfter(closeLimitMs, client.quit());
  client.disconnect();
}

/** BullMQ waits for its connections to end politely, which one to a lost Redis never does. */
async function orAfter(limitMs: number, work: Promise<unknown>): Promise<void> {
  const timer = new AbortController();
  const limit = wait(limitMs, undefined, { signal: timer.signal }).catch(() => undefined);
  await Promise.race([work, limit]);
  timer.abort();
}

function explain(url: string, error: unknown): BackendError {
  const where = shownUrl(url);
  const text = errorText(error);
  const cause = { cause: error };
  if (/NOAUTH|WRONGPASS|NOPERM|AUTH/.test(text)) {
    return new BackendError(
      'BACKEND_FORBIDDEN',
      `Redis at ${where} refuses this user or password (${text}); correct them in QUEUE_URL`,
      cause,
    );
  }
  return new BackendError(
    'BACKEND_UNREACHABLE',
    `Redis at ${where} does not answer (${text}); start it, or correct QUEUE_URL`,
    cause,
  );
}
