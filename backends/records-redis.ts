/** `RecordStore` in Redis: one hash per record, one sorted set per semaphore, Lua scripts for changes, Redis's own clock. */
import { Cluster } from 'ioredis';
import type { RecordEntry, RecordStore } from './backend.ts';
import { gather } from './gather.ts';
import { checkRecord } from './record-limits.ts';
import type { RedisClient } from './redis-client.ts';
import { type Script, script } from './redis-script.ts';

// Versions are microseconds of Redis's clock, so that a record made anew never repeats one of its former life. A double
// holds them exactly until the year 2255; '%.0f' because Lua would print them as 1.7e+15.
// A Redis that is full refuses a script whose first change takes memory, and jobs that run need their records to end.
const store = `
  local time = redis.call('TIME')
  time = time[1] * 1000000 + time[2]
  local function store(key, found, value, ttl)
    local version = string.format('%.0f', math.max(tonumber(found or '0') + 1, time))
    redis.call('HDEL', key, '')
    redis.call('HSET', key, 'value', value, 'version', version)
    if ttl == '' then redis.call('PERSIST', key) else redis.call('PEXPIRE', key, ttl) end
    return version
  end`;

// KEYS: records. ARGV of each: value, how long it lives in ms ('' = for ever).
const putIfAbsent = script(`${store}
  local answers = {}
  for at, key in ipairs(KEYS) do
    local found = redis.call('HMGET', key, 'value', 'version')
    if found[1] then answers[at] = found
    else answers[at] = {false, store(key, found[2], ARGV[at * 2 - 1], ARGV[at * 2])} end
  end
  return answers`);

// The same, and the version that is replaced.
const compareAndSet = script(`${store}
  local answers = {}
  for at, key in ipairs(KEYS) do
    local found = redis.call('HGET', key, 'version')
    if found == ARGV[at * 3] then
      store(key, found, ARGV[at * 3 - 2], ARGV[at * 3 - 1])
      answers[at] = 1
    else answers[at] = 0 end
  end
  return answers`);

const expire = script(`
  for at, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[at]) end
  return ARGV`);

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

interface Change {
  readonly key: string;
  readonly args: readonly (string | number)[];
}

/** Changes that come together share a script call, unless `batching` is false; on Cluster their keys lie apart. */
export function redisRecords(client: RedisClient, batching: boolean): RecordStore {
  const together = (change: Script) => {
    const send = async (batch: readonly Change[]): Promise<unknown[]> => {
      const keys = batch.map(({ key }) => recordKey(key));
      const answers = await change(
        client,
        keys,
        batch.flatMap(({ args }) => args),
      );
      if (!Array.isArray(answers)) throw new TypeError(`Redis answered a record script with ${typeof answers}`);
      return answers;
    };
    if (client instanceof Cluster || !batching) return async (one: Change) => (await send([one]))[0];
    return gather<Change, unknown>({
      most: 50,
      mostWeight: 256 * 1_024,
      weigh: ({ args: [value] }) => String(value).length,
      lanes: 2,
      send,
    });
  };
  const putOne = together(putIfAbsent);
  const replaceOne = together(compareAndSet);
  const shortenOne = together(expire);
  const get: RecordStore['get'] = async (keys) => {
    const found = await Promise.all(keys.map((key) => client.hmget(recordKey(key), 'value', 'version')));
    return found.map(([value, version]): RecordEntry | undefined =>
      typeof value === 'string' ? { value, version: Number(version) } : undefined,
    );
  };
  return {
    async putIfAbsent(key, value, ttlMs) {
      checkRecord(key, value);
      const answer = await putOne({ key, args: [value, ttlMs ?? ''] });
      const [found, version] = Array.isArray(answer) ? answer : [];
      return { stored: found === null, value: String(found ?? value), version: Number(version) };
    },
    async compareAndSet(key, version, value, ttlMs) {
      checkRecord(key, value);
      if (value === null) return (await compareAndDelete(client, [recordKey(key)], [version])) === 1;
      return (await replaceOne({ key, args: [value, ttlMs ?? '', version] })) === 1;
    },
    async expire(keys, ttlMs) {
      await Promise.all(keys.map((key) => shortenOne({ key, args: [ttlMs] })));
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
