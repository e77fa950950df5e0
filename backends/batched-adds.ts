/**
 * Adds that come together leave together: one statement and one commit instead of one for each.
 */
import type { IQueueBackend, JobJson } from 'bullmq';
import { gather } from './gather.ts';

interface Add {
  readonly job: JobJson;
  readonly jobId: string;
}

/**
 * Replaces `addJob` on the instance. Only plain jobs share a statement. A statement that fails is repeated job by job,
 * so that one job's error is its own; adding an id twice is a no-op, so a statement that was applied unseen does no harm.
 */
export function batchAdds(backend: IQueueBackend): void {
  const addOne = backend.addJob.bind(backend);
  const addAll = backend.addJobs.bind(backend);
  const each = (batch: readonly Add[]) =>
    Promise.all(batch.map(({ job, jobId }) => addOne(job, jobId).catch((error: unknown) => asError(error))));
  const add = gather<Add, string>({
    most: 100,
    mostWeight: 4 * 1_024 * 1_024,
    weigh: ({ job }) => job.data.length,
    lanes: 2,
    // A batch of one is several times slower than the statement for one.
    send: (batch) => (batch.length === 1 ? each(batch) : addAll([...batch]).catch(() => each(batch))),
  });
  backend.addJob = (job, jobId, parent) =>
    isPlain(job) && parent === undefined ? add({ job, jobId }) : addOne(job, jobId, parent);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** Nothing but a payload for the tail of the queue: no delay, priority, deduplication, parent or schedule. */
export function isPlain({ opts, parent, deduplicationId, repeatJobKey }: JobJson): boolean {
  return (
    parent === undefined &&
    deduplicationId === undefined &&
    repeatJobKey === undefined &&
    (opts.delay ?? 0) === 0 &&
    (opts.priority ?? 0) === 0 &&
    opts.lifo !== true
  );
}
