/** The store on Redis: BullMQ's keys under `bull:` (`{bull:<queue>}:` on Cluster), ours under `jobfleet:`. */
import { createRedisBackend, type QueueOptions } from 'bullmq';
import { type Backend, type BackendOptions, capabilities } from './backend.ts';
import { createClasses, type StoreFactory } from './bullmq.ts';
import { redisControl } from './control-redis.ts';
import { redisFailed } from './failed-redis.ts';
import { addFlowInTurn, addInTurn } from './fairness.ts';
import { redisTags } from './fairness-redis.ts';
import { knowVersion } from './known-version.ts';
import { redisLimiters } from './limiter.ts';
import { redisRecords } from './records-redis.ts';
import { batchRedis } from './redis-batching.ts';
import { dial, queuePrefix, type RedisClient } from './redis-client.ts';
import { explainRedis } from './redis-explain.ts';
import { judgeRedis, viewRedis } from './redis-findings.ts';
import { madeBy } from './redis-info.ts';
import { closeLimitMs, hangUp, openLines, orAfter } from './redis-lines.ts';
import { parseRedisUrl } from './redis-url.ts';
import { addWhole } from './redis-whole-bulks.ts';
import { redisRewrite } from './rewrite-redis.ts';
import { redisScanner } from './search-redis.ts';
import { indexTenants, tenantNotes, tenantSweep } from './tenant-index.ts';
import { BackendError, reportOnce } from './unreachable.ts';
import { fullness } from './when-full.ts';

/** Completed jobs stay a day, at most 10,000 per queue. Age in seconds, as BullMQ wants it. */
const removeOnComplete = { age: 86_400, count: 10_000 };

/**
 * Connects and answers, or throws `BackendError`. Needs Redis 6.2 or newer; `rediss` verifies the certificate. The other
 * connections than the first are opened as they are needed.
 */
export async function openRedis(url: string, options: BackendOptions): Promise<Backend> {
  const onError = reportOnce(options.onError);
  const address = parseRedisUrl(url);
  const { form } = address;
  const { client, info } = await dial(address, onError);
  const make = madeBy(info);
  const lines = openLines(client, address, onError);
  const note = tenantNotes(client);
  const tags = redisTags(client, (queue, part) => `${queuePrefix(form, queue)}:${queue}:${part}`);
  const factory: StoreFactory = (name, settings, wants) => {
    const blocks = wants.blocking === true || wants.withBlockingConnection === true;
    const line = blocks ? lines.patient() : client;
    const own: QueueOptions = { ...settings, prefix: queuePrefix(form, name), connection: line };
    const backend = createRedisBackend(name, own, wants);
    knowVersion(backend, make);
    if (!blocks) {
      addWhole(backend, queuePrefix(form, name), name);
      indexTenants(backend, name, note);
      addInTurn(backend, name, tags);
    }
    if (options.batching ?? true) batchRedis(backend, { queue: name, line, settings, wants, note });
    return backend;
  };
  const made = createClasses({ factory, removeOnComplete, onError });
  const classes = form === 'cluster' ? { ...made, addMany: queueByQueue(made) } : made;
  const control = redisControl(client, address.db, lines.open, onError);
  let closing: Promise<void> | undefined;
  const close = async () => {
    await orAfter(closeLimitMs, classes.close());
    await control.close();
    await lines.close();
    await hangUp(client);
  };
  return {
    ...classes,
    ...addFlowInTurn(classes, tags),
    ...(form === 'cluster' ? { flows: refuseFlows, addFlow: async () => refuseFlows() } : {}),
    kind: 'redis',
    capabilities: form === 'cluster' ? { ...capabilities.redis, flows: false } : capabilities.redis,
    // Head of the queue.
    handBack: async (job, token) => {
      await job.moveToWait(token);
    },
    records: redisRecords(client),
    tags,
    limiter: redisLimiters(client),
    fullness: () => fullness(client),
    control,
    sql: undefined,
    rewrite: redisRewrite(client, (queue) => queuePrefix(form, queue)),
    scanner: redisScanner(client, (queue) => queuePrefix(form, queue)),
    failed: redisFailed(client, (queue) => queuePrefix(form, queue)),
    leaseConnection: { kind: 'redis', url },
    chores: [
      tenantSweep(
        client,
        (queue) => queuePrefix(form, queue),
        () => askTime(client),
      ),
    ],
    now: () => askTime(client),
    async ping() {
      try {
        await client.ping();
      } catch (error) {
        throw await explainRedis(address, error);
      }
    },
    inspect: async () => judgeRedis(form, await viewRedis(client)),
    close: () => (closing ??= close()),
  };
}

async function askTime(client: RedisClient): Promise<number> {
  const [seconds, micros] = await client.time();
  return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
}

function queueByQueue({ addMany }: Pick<Backend, 'addMany'>): Backend['addMany'] {
  return async (bulk) => {
    const ids: string[][] = [];
    for (const group of bulk) ids.push(...(await addMany([group])));
    return ids;
  };
}

function refuseFlows(): never {
  throw new BackendError(
    'BACKEND_UNSUPPORTED',
    'Redis Cluster keeps no flows, because the queues of a parent and its children lie on different nodes; use a single Redis, Redis with Sentinels, or PostgreSQL for job types that need them',
  );
}
