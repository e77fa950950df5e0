/** Connections to Redis in its three forms: one server, a primary found by Sentinels, a Cluster. */
import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';
import { explainRedis, judgeServer } from './redis-explain.ts';
import { type RedisInfo, readInfo } from './redis-info.ts';
import type { RedisAddress } from './redis-url.ts';
import { writeTogether } from './redis-writes.ts';
import { errorText } from './unreachable.ts';
import { workWhenFull } from './when-full.ts';

export type RedisClient = Cluster | Redis;

/**
 * `hold`: a command waits about 4 s for one lost server, up to 10 s for a fail-over, then fails. `wait`: for as long as
 * it takes; BullMQ's claim loops and event readers must never give up on a command.
 */
export type Patience = 'hold' | 'wait';

const holdMs = 10_000;
/** Longer than any blocking read of ours: a server that says nothing for so long is gone, whatever its socket says. */
const silenceMs = 15_000;

/** What a first connection found. */
export interface Dialled {
  readonly client: RedisClient;
  readonly info: RedisInfo;
}

/** `hold`: not yet connected. `wait`: connecting. `isOpen` false: a failed first connection is final, so that a wrong address is said and not retried. */
export function newClient(address: RedisAddress, patience: Patience, isOpen: () => boolean): RedisClient {
  return writeTogether(unconnected(address, patience, isOpen));
}

function unconnected(address: RedisAddress, patience: Patience, isOpen: () => boolean): RedisClient {
  const retry = (longestMs: number) => (times: number) => (isOpen() ? Math.min(times * 100, longestMs) : null);
  const shared = sharedOptions(address, patience);
  switch (address.form) {
    case 'single':
      return new Redis({ ...shared, ...address.nodes[0], db: address.db, retryStrategy: retry(500) });
    case 'sentinel':
      return new Redis({
        ...shared,
        ...sentinelOptions(address),
        retryStrategy: retry(500),
        sentinelRetryStrategy: retry(1_000),
        // The time of a fail-over is bounded by `holdMs`, not by a number of tries.
        maxRetriesPerRequest: null,
      });
    case 'cluster': {
      const options = { ...clusterOptions(patience), redisOptions: shared, clusterRetryStrategy: retry(500) };
      return boundQueue(new Cluster([...address.nodes], options), patience);
    }
  }
}

/** One open connection, or `BackendError` at the first refusal, also for a server that is another form of Redis. */
export async function dial(address: RedisAddress, onError: (error: Error) => void): Promise<Dialled> {
  let isOpen = false;
  const client = newClient(address, 'hold', () => isOpen);
  let info: RedisInfo;
  let cause: unknown;
  const note = (error: Error) => {
    cause = error;
  };
  // What the promise does not say: ioredis rejects with "Connection is closed." and tells the reason as an event.
  const events = ['error', 'node error', 'sentinelError'];
  for (const event of events) client.on(event, note);
  try {
    await Promise.race([client.connect(), ended(client)]);
    // ioredis only reports a database that does not exist, and goes on in number 0.
    if (client instanceof Redis && address.db > 0) await client.select(address.db);
    info = readInfo(await client.info());
    judgeServer(address, info);
  } catch (error) {
    client.disconnect();
    throw await explainRedis(address, /CLUSTERDOWN/.test(errorText(error)) ? error : (cause ?? error));
  }
  isOpen = true;
  listened(client, onError);
  for (const event of events) client.off(event, note);
  return { client, info };
}

/** A Cluster that lacks slots ends without settling the promise of its connection. */
function ended(client: RedisClient): Promise<never> {
  const reason = client.isCluster ? 'CLUSTERDOWN The cluster is down' : 'Connection is closed.';
  return new Promise((_resolve, reject) => client.once('end', () => reject(new Error(reason))));
}

/** Every client needs a listener, or a lost connection ends the process. BullMQ adds three listeners per class. */
export function listened<C extends RedisClient>(client: C, onError: (error: Error) => void): C {
  client.on('error', onError);
  client.setMaxListeners(0);
  workWhenFull(client);
  return client;
}

/** On Cluster all keys of a queue must share a slot: a hash tag per queue spreads the queues over the nodes. */
export function queuePrefix(form: RedisAddress['form'], queue: string): string {
  return form === 'cluster' ? `{bull:${queue}}` : 'bull';
}

function sharedOptions({ tls, user, password }: RedisAddress, patience: Patience) {
  return {
    connectTimeout: 5_000,
    keepAlive: 10_000,
    // BullMQ connects what is not connecting yet, and gives an object up for good whose first try fails.
    lazyConnect: patience === 'hold',
    // ioredis would do it in a promise that nobody hears; control-redis.ts does.
    autoResubscribe: false,
    // Also bounds how long a command is held: ioredis fails what waits at every ninth try.
    maxRetriesPerRequest: patience === 'wait' ? null : 8,
    socketTimeout: silenceMs,
    ...(patience === 'wait' ? {} : { commandTimeout: holdMs }),
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls: {} } : {}),
  } satisfies RedisOptions;
}

function sentinelOptions(address: RedisAddress) {
  const { nodes, master, db, tls, sentinelUser, sentinelPassword } = address;
  return {
    sentinels: [...nodes],
    name: master,
    db,
    sentinelCommandTimeout: 2_000,
    // A primary that became a replica refuses writes: ask the Sentinels again and send the command once more.
    reconnectOnError: (error: Error) => (error.message.startsWith('READONLY') ? 2 : false),
    ...(sentinelUser === undefined ? {} : { sentinelUsername: sentinelUser }),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
    ...(tls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
  } satisfies RedisOptions;
}

function clusterOptions(patience: Patience) {
  return {
    lazyConnect: patience === 'hold',
    // Names stay names: certificates are made out to them.
    dnsLookup: (name, callback) => callback(null, name),
    maxRedirections: patience === 'wait' ? 1_000_000 : 100,
    retryDelayOnClusterDown: 200,
    retryDelayOnFailover: 200,
    retryDelayOnMoved: 20,
    slotsRefreshTimeout: 2_000,
    // Finds the successor of a node that hangs instead of ending; the others find out by `silenceMs`.
    ...(patience === 'wait' ? {} : { slotsRefreshInterval: 5_000 }),
  } satisfies ClusterOptions;
}

/** While no node answers, ioredis keeps commands for a Cluster without any limit. */
function boundQueue(client: Cluster, patience: Patience): Cluster {
  if (patience === 'wait') return client;
  const send = client.sendCommand.bind(client);
  client.sendCommand = (command, stream, node) => {
    command.setTimeout(holdMs);
    return send(command, stream, node);
  };
  return client;
}
