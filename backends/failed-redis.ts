/** Dead letters in bulk from BullMQ's keys: short facts of a thousand in one answer, payload and stack left where they are. */
import type { FailedReader } from './backend.ts';
import type { RedisClient } from './redis-client.ts';
import { script } from './redis-script.ts';

// KEYS: the jobs. One text for all: an answer with a part for each field costs its reader ten times as much. `-` for a
// job that came without facts of ours, or whose options cannot be read.
const readRows = script(`
  local rows = {}
  for at, key in ipairs(KEYS) do
    local job = redis.call('HMGET', key, 'name', 'opts', 'failedReason', 'atm', 'timestamp', 'finishedOn')
    job[2] = string.match(job[2] or '', '"jobfleet":{[^{}]*"tenant":"([^"\\\\]*)"') or '-'
    rows[at] = job
  end
  return cjson.encode(rows)`);

/** `false` for a field that is not there. */
type Field = string | false;
type Fields = readonly [name: Field, tenant: string, reason: Field, attempts: Field, createdAt: Field, failedAt: Field];

export function redisFailed(client: RedisClient, prefixOf: (queue: string) => string): FailedReader {
  return {
    async ids(queue, limit) {
      const flat = await client.zrevrange(`${prefixOf(queue)}:${queue}:failed`, 0, limit - 1, 'WITHSCORES');
      return Array.from({ length: flat.length / 2 }, (_, index) => ({
        id: flat[index * 2] ?? '',
        failedAt: Number(flat[index * 2 + 1]),
      }));
    },
    async rows(queue, ids) {
      const prefix = `${prefixOf(queue)}:${queue}:`;
      const answer = await readRows(
        client,
        ids.map((id) => prefix + id),
        [],
      );
      // What our own script says, a hundred thousand times: no schema reads it again.
      const found: readonly Fields[] = JSON.parse(String(answer));
      return found.flatMap(([name, tenant, reason, attempts, createdAt, failedAt], index) => {
        const id = ids[index];
        // No finish time: redriven or discarded since the ids were read.
        if (id === undefined || name === false || failedAt === false) return [];
        return {
          id,
          name,
          tenant,
          reason: reason === false ? '' : reason,
          attempts: Number(attempts),
          createdAt: Number(createdAt),
          failedAt: Number(failedAt),
        };
      });
    },
  };
}
