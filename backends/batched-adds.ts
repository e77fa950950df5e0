/**
 * Adds that come together leave together: one statement and one commit instead of one for each. Nothing waits for
 * company: with nothing under way a call leaves at once, and while an answer is awaited the others gather.
 */
import type { IQueueBackend, JobJson } from 'bullmq';

interface Waiting {
  readonly job: JobJson;
  readonly jobId: string;
  readonly resolve: (id: string) => void;
  readonly reject: (error: unknown) => void;
}

/** Most jobs in one statement. */
const batchSize = 100;
/** Statements under way at once: while one commits the next is written. */
const lanes = 2;

/**
 * Replaces `addJob` on the instance. Only plain jobs share a statement: no delay, no deduplication, no parent, no
 * schedule. A statement that fails is repeated job by job, so that one job's error is its own; adding an id twice is a
 * no-op, so a statement that was applied unseen does no harm.
 */
export function batchAdds(backend: IQueueBackend): void {
  const addOne = backend.addJob.bind(backend);
  const addAll = backend.addJobs.bind(backend);
  const waiting: Waiting[] = [];
  let underWay = 0;

  const send = async (batch: Waiting[]): Promise<void> => {
    const [first] = batch;
    if (first === undefined) return;
    // A batch of one is several times slower than the statement for one.
    if (batch.length === 1) return settle(first, addOne(first.job, first.jobId));
    try {
      const ids = await addAll(batch);
      for (const [index, one] of batch.entries()) one.resolve(ids[index] ?? one.jobId);
    } catch {
      await Promise.all(batch.map((one) => settle(one, addOne(one.job, one.jobId))));
    }
  };
  const settle = async (one: Waiting, answer: Promise<string>): Promise<void> => {
    await answer.then(one.resolve, one.reject);
  };
  const pump = (): void => {
    while (underWay < lanes && waiting.length > 0) {
      underWay += 1;
      const batch = waiting.splice(0, batchSize);
      void send(batch).finally(() => {
        underWay -= 1;
        pump();
      });
    }
  };
  backend.addJob = (job, jobId, parent) => {
    if (!isPlain(job) || parent !== undefined) return addOne(job, jobId, parent);
    return new Promise((resolve, reject) => {
      waiting.push({ job, jobId, resolve, reject });
      pump();
    });
  };
}

function isPlain({ opts, parent, deduplicationId, repeatJobKey }: JobJson): boolean {
  return parent === undefined && deduplicationId === undefined && repeatJobKey === undefined && (opts.delay ?? 0) === 0;
}
