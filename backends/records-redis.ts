/** `RecordStore` in Redis: one hash per record, one sorted set per semaphore, one Lua script per change, Redis's own clock. */
import { Cluster } from 'ioredis';
import type { RecordEntry, RecordStore } from './backend.ts';
import { checkRecord } from './record-limits.ts';
import type { RedisClient } from './redis-client.ts';
import { script } from './redis-script.ts';

// Versions are microseconds of Redis's clock, so that a record made anew never repeats one of its former life. A double
// holds them exactly until the year 2255; '%.0f' because Lua would print them as 1.7e+15.
const nextVersion = `
  local time = redis.call('TIME')
  local version = math.max(tonumber(redis.call('HGET', KEYS[1], 'version') or '0') + 1, time[1] * 1000000 + time[2])
  version = string.format('%.0f', version)`;

// A Redis that is full refuses a script whose first change takes memory, and jobs that run need their records to end.
const store = `
  redis.call('HDEL', KEYS[1], '')
  redis.call('HSET', KEYS[1], 'value', ARGV[1], 'version', version)
  if ARGV[2] == '' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end`;

const putIfAbsent = script(`
  local found = redis.call('HMGET', KEYS[1], 'value', 'version')
  if found[1] then return {0, found[1], found[2]} end
  ${nextVersion} ${store}
  return {1, ARGV[1], version}`);

const compareAndSet = script(`
  if redis.call('HGET', KEYS[1], 'version') ~= ARGV[3] then return 0 end
  ${nextVersion} ${store}
  return 1`);

const compareAndDelete = script(`
  if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then return 0 end
  return redis.call('DEL', KEYS[1])`);

const acquire = script(`
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
  local others = redis.call('ZCARD', KEYS[1])
  if redis.call('ZSCORE', KEYS[1], ARGV[1]) then others = others - 1 end
  if others >= tonumber(ARGV[2]) then return 0 end
  redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
  local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
  redis.call('PEXPIREAT', KEYS[1], last[2])
  return 1`);

const recordKey = (key: string) => `jobfleet:record:${key}`;
const holderKey = (key: string) => `jobfleet:holder:${key}`;

/** On Cluster each primary has a part of the keys. SCAN may name one twice. */
async function keysStarting(client: RedisClient, start: string): Promise<string[]> {
  const found = new Set<string>();
  const match = `${start.replaceAll(/[\\*?[\]]/g, '\\$&')}*`;
  for (const node of client instanceof Cluster ? client.nodes('master') : [client]) {
    for await (const keys of node.scanStream({ match, count: 1_000 }))
      for (const key of Array.isArray(keys) ? keys : []) found.add(String(key));
  }
  return [...found].toSorted();
}

export function redisRecords(client: RedisClient): RecordStore {
  const get: RecordStore['get'] = async (keys) => {
    const found = await Promise.all(keys.map((key) => client.hmget(recordKey(key), 'value', 'version')));
    return found.map(([value, version]): RecordEntry | undefined =>
      typeof value === 'string' ? { value, version: Number(version) } : undefined,
    );
  };
  return {
    async putIfAbsent(key, value, ttlMs) {
      checkRecord(key, value);
      const [stored, found, version] = answer(await putIfAbsent(client, [recordKey(key)], [value, ttlMs ?? '']));
      return { stored: stored === '1', value: found, version: Number(version) };
    },
    async compareAndSet(key, version, value, ttlMs) {
      checkRecord(key, value);
      const changed =
        value === null
          ? await compareAndDelete(client, [recordKey(key)], [version])
          : await compareAndSet(client, [recordKey(key)], [value, ttlMs ?? '', version]);
      return changed === 1;
    },
    async expire(keys, ttlMs) {
      await Promise.all(keys.map((key) => client.pexpire(recordKey(key), ttlMs)));
    },
    get,
    async list(prefix) {
      const start = recordKey('').length;
      const keys = (await keysStarting(client, recordKey(prefix))).map((key) => key.slice(start));
      const entries = await get(keys);
      return keys.flatMap((key, place) => {
        const entry = entries[place];
        return entry === undefined ? [] : [{ key, ...entry }];
      });
    },
    async acquire(key, holder, max, ttlMs) {
      checkRecord(key, holder);
      return (await acquire(client, [holderKey(key)], [holder, max, ttlMs])) === 1;
    },
    async release(key, holder) {
      await client.zrem(holderKey(key), holder);
    },
  };
}

/** Redis is a border too: three values, the first a number. */
function answer(reply: unknown): [string, string, string] {
  if (!Array.isArray(reply) || reply.length !== 3)
    throw new TypeError(`Redis answered a record script with ${typeof reply}`);
  const [stored, value, version] = reply.map(String);
  return [stored ?? '', value ?? '', version ?? ''];
}
