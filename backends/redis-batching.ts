/**
 * What we replace on BullMQ's Redis backend so that calls share script calls: adds where jobs are added, completions
 * and log lines where they are run. Keys, fields, states and events stay BullMQ's, so other BullMQ programs work on the same queues.
 */
import type { RedisQueueBackend } from 'bullmq';
import { batchLogs } from './batched-logs.ts';
import type { StoreSettings } from './bullmq.ts';
import { batchRedisAdds } from './redis-batched-adds.ts';
import { batchRedisEnds } from './redis-batched-ends.ts';
import { redisLogs } from './redis-batched-logs.ts';
import type { ScriptLine } from './redis-script.ts';

/** `wants.blocking`: an event reader, which neither adds nor ends. */
export function batchRedis(
  backend: RedisQueueBackend,
  line: ScriptLine,
  settings: StoreSettings,
  wants: { readonly blocking?: boolean; readonly withBlockingConnection?: boolean },
): void {
  if (wants.blocking === true) return;
  if (wants.withBlockingConnection !== true) return batchRedisAdds(backend, line);
  batchRedisEnds(backend, line, {
    concurrency: settings.concurrency ?? 1,
    lockDuration: settings.lockDuration ?? 30_000,
    maxDataPoints: settings.metrics?.maxDataPoints,
    workerName: settings.name,
  });
  batchLogs(
    backend,
    redisLogs(line, (name) => backend.toKey(name)),
  );
}
