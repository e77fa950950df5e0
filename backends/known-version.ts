/**
 * BullMQ asks the server for its version once per queue, worker and event reader, and one whose question fails (a server
 * that hangs for a moment at the first use of a queue) refuses every call for as long as the process lives. The first
 * connection of the process has asked already: its answer is everybody's, and a round trip less at each start.
 */
import type { RedisQueueBackend } from 'bullmq';
import type { ServerMake } from './redis-info.ts';

/** Call right after the object is made, before it has connected. */
export function knowVersion(backend: RedisQueueBackend, make: ServerMake | undefined): void {
  if (make === undefined) return;
  for (const name of ['connection', 'blockingConnection']) {
    const connection: unknown = Reflect.get(backend, name);
    if (typeof connection === 'object' && connection !== null)
      Object.defineProperty(connection, 'getRedisVersionAndType', { value: () => Promise.resolve(make) });
  }
}
