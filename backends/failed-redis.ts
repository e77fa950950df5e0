/** Dead letters in bulk from BullMQ's keys: one pipeline each, payload and stack left where they are. */
import type { FailedReader, FailedRow } from './backend.ts';
import type { RedisClient } from './redis-client.ts';

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
      // Commands sent in one turn of the event loop share a round trip.
      const found = await Promise.all(
        ids.map((id) =>
          client.hmget(
            `${prefixOf(queue)}:${queue}:${id}`,
            'name',
            'opts',
            'failedReason',
            'atm',
            'timestamp',
            'finishedOn',
          ),
        ),
      );
      return ids.flatMap((id, index): FailedRow[] => {
        const [name, opts, reason, attempts, createdAt, failedAt] = found[index] ?? [];
        // No finish time: redriven or discarded since the ids were read.
        if (typeof name !== 'string' || typeof failedAt !== 'string') return [];
        return [
          {
            id,
            name,
            tenant: tenantOf(opts),
            reason: reason ?? '',
            attempts: Number(attempts ?? 0),
            createdAt: Number(createdAt),
            failedAt: Number(failedAt),
          },
        ];
      });
    },
  };
}

/** `-` for a job that came without facts of ours, or whose options cannot be read. */
function tenantOf(opts: string | null | undefined): string {
  const tenant = /"jobfleet":\{[^{}]*"tenant":("(?:[^"\\]|\\.)*")/.exec(opts ?? '')?.[1];
  return tenant === undefined ? '-' : String(JSON.parse(tenant));
}
