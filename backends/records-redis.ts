/** `RecordStore` in Redis: one string per record, `<version>:<value>`, one sorted set per semaphore, Redis's own clock. */
import { Cluster } from 'ioredis';
import type { RecordEntry, RecordStore } from './backend.ts';
import { checkRecord } from './record-limits.ts';
import type { RedisClient } from './redis-client.ts';
import { script } from './redis-script.ts';

// A Redis that is full refuses every write that takes memory, and a script whose first change does; jobs that run need
// their records to end. So what changes records begins with a change that changes nothing.
const set = `
  redis.call('PERSIST', KEYS[1])
  if ARGV[2] == '' then redis.call('SET', KEYS[1], ARGV[1]) else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
  return 1`;

const putWhenFull = script(`
  if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end ${set}`);

// A change that the client sends twice, because its answer was lost, finds its own.
const compareAndSet = script(`
  local found = redis.call('GET', KEYS[1])
  if found == ARGV[1] then return 1 end
  if not found or string.sub(found, 1, #ARGV[3]) ~= ARGV[3] then return 0 end ${set}`);

const compareAndDelete = script(`
  local found = redis.call('GET', KEYS[1])
  if not found or string.sub(found, 1, #ARGV[1]) ~= ARGV[1] then return 0 end
  return redis.call('DEL', KEYS[1])`);

const expireAll = script(`
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ARGV[1]) end`);

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

/** How long a Redis that was full is taken for full. */
const fullMs = 5_000;

/** At random out of 2⁵³: no write repeats the version of another one, also not after the record was gone for a while. */
const newVersion = (): number => Math.floor(Math.random() * Number.MAX_SAFE_INTEGER);
const stored = (version: number, value: string): string => `${version}:${value}`;

function entryOf(text: string | null): RecordEntry | undefined {
  if (text === null) return undefined;
  const colon = text.indexOf(':');
  return { value: text.slice(colon + 1), version: Number(text.slice(0, colon)) };
}

export function redisRecords(client: RedisClient): RecordStore {
  let fullUntil = 0;
  const byScript = async (key: string, text: string, ttlMs: number | null): Promise<boolean> =>
    (await putWhenFull(client, [recordKey(key)], [text, ttlMs ?? ''])) === 1;
  /** False where there is one already. */
  const put = async (key: string, text: string, ttlMs: number | null): Promise<boolean> => {
    if (performance.now() < fullUntil) return byScript(key, text, ttlMs);
    try {
      const answer = await (ttlMs === null
        ? client.set(recordKey(key), text, 'NX')
        : client.set(recordKey(key), text, 'PX', ttlMs, 'NX'));
      return answer === 'OK';
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('OOM'))) throw error;
      // A refusal for every job would be an error for every job.
      fullUntil = performance.now() + fullMs;
      return byScript(key, text, ttlMs);
    }
  };
  const find = async (key: string): Promise<RecordEntry | undefined> => entryOf(await client.get(recordKey(key)));
  const get: RecordStore['get'] = (keys) => Promise.all(keys.map(find));
  return {
    async putIfAbsent(key, value, ttlMs) {
      checkRecord(key, value);
      const version = newVersion();
      for (;;) {
        if (await put(key, stored(version, value), ttlMs)) return { stored: true, value, version };
        const found = await find(key);
        // Sent twice, because its answer was lost, it finds its own. Gone meanwhile: once more.
        if (found !== undefined) return { ...found, stored: found.version === version };
      }
    },
    async compareAndSet(key, version, value, ttlMs) {
      checkRecord(key, value);
      const changed =
        value === null
          ? await compareAndDelete(client, [recordKey(key)], [stored(version, '')])
          : await compareAndSet(
              client,
              [recordKey(key)],
              [stored(newVersion(), value), ttlMs ?? '', stored(version, '')],
            );
      return changed === 1;
    },
    async expire(keys, ttlMs) {
      if (keys.length === 0) return;
      // The keys of one call lie on one node; a Cluster has many.
      if (client instanceof Cluster) await Promise.all(keys.map((key) => client.pexpire(recordKey(key), ttlMs)));
      else await expireAll(client, keys.map(recordKey), [ttlMs]);
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
