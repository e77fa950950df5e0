/** Another payload for a job in Redis that waits: compared and written in one script, so that no claim falls between. */
import type { Backend } from './backend.ts';
import type { RedisClient } from './redis-client.ts';
import { script } from './redis-script.ts';

// KEYS: the job. ARGV: runs started so far, options as they were read, options as they shall be, payload or nothing.
const rewriteJob = script(`
  local job = KEYS[1]
  local stored = redis.call('HMGET', job, 'ats', 'opts', 'finishedOn')
  if not stored[2] or stored[3] then return 0 end
  if tonumber(stored[1] or 0) ~= tonumber(ARGV[1]) or stored[2] ~= ARGV[2] then return 0 end
  redis.call('HSET', job, 'opts', ARGV[3])
  if ARGV[4] then redis.call('HSET', job, 'data', ARGV[4]) end
  return 1`);

export function redisRewrite(client: RedisClient, prefixOf: (queue: string) => string): Backend['rewrite'] {
  return async (queue, id, { attemptsStarted, json, facts }) => {
    const key = `${prefixOf(queue)}:${queue}:${id}`;
    const stored = await client.hget(key, 'opts');
    if (stored === null) return false;
    const options: unknown = JSON.parse(stored);
    const wanted = facts === undefined ? stored : JSON.stringify({ ...Object(options), jobfleet: facts });
    const args = [attemptsStarted, stored, wanted, ...(json === undefined ? [] : [json])];
    return (await rewriteJob(client, [key], args)) === 1;
  };
}
