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
import type { NoteTenants } from './tenant-index.ts';

export interface BatchingParts {
  readonly queue: string;
  readonly line: ScriptLine;
  readonly settings: StoreSettings;
  /** `blocking`: an event reader, which neither adds nor ends. */
  readonly wants: { readonly blocking?: boolean; readonly withBlockingConnection?: boolean };
  readonly note: NoteTenants;
}

export function batchRedis(backend: RedisQueueBackend, { queue, line, settings, wants, note }: BatchingParts): void {
  if (wants.blocking === true) return;
  if (wants.withBlockingConnection !== true) return batchRedisAdds(backend, { line, note, queue });
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
