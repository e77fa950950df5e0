/**
 * Bulks on Redis are stored whole or not at all. BullMQ sends the jobs of one queue as a pipeline, of which a full Redis or
 * a cut connection lets a part through; here they are one transaction, as flows are.
 */
import type { RedisQueueBackend } from 'bullmq';
import { flowEntry, idsOf } from './bullmq.ts';

/** Replaces `addJobs` and `addFlow` on the instance. `prefix`: of the queue's keys. */
export function addWhole(backend: RedisQueueBackend, prefix: string, queueName: string): void {
  const addFlow = backend.addFlow.bind(backend);
  backend.addFlow = async (entries) => {
    try {
      return await addFlow(entries);
    } catch (error) {
      throw causeOf(error);
    }
  };
  backend.addJobs = async (entries) =>
    idsOf(
      await backend.addFlow(
        entries.map(({ job, jobId, parentKeyOpts = {} }) => ({
          ...flowEntry(job, jobId),
          parentKeyOpts,
          prefix,
          queueName,
        })),
      ),
    );
}

/** Why Redis aborted a transaction: what it said to the command that it refused. */
function causeOf(error: unknown): unknown {
  const previous: unknown = error instanceof Error ? Reflect.get(error, 'previousErrors') : undefined;
  return Array.isArray(previous) && previous.length > 0 ? previous[0] : error;
}
