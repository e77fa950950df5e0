/** Every job of a queue, whatever its state. */
import type { Job, Queue } from 'bullmq';
import type { FinalRecord } from './checker.ts';

/** The two ends first. */
const states = ['completed', 'failed', 'active', 'waiting', 'delayed', 'prioritized'] as const;

/** Jobs that have not ended. */
export async function openJobs(queue: Queue): Promise<number> {
  const counts = await queue.getJobCounts(...states.slice(2));
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

/** Read when the run is over: nothing moves between two of the lists. */
export async function jobsOf(queue: Queue): Promise<FinalRecord[]> {
  const records = new Map<string, FinalRecord>();
  for (const state of states) {
    for (const job of await queue.getJobs([state], 0, -1)) {
      // A list may name a job whose record is gone.
      if (job?.id !== undefined && !records.has(job.id)) records.set(job.id, recordOf(job, job.id, state));
    }
  }
  return [...records.values()];
}

function recordOf(job: Job, id: string, state: string): FinalRecord {
  const key: unknown = job.data?.key;
  return {
    id,
    key: typeof key === 'string' ? key : `no key: ${JSON.stringify(job.data).slice(0, 80)}`,
    state,
    attempts: job.attemptsMade,
    ...(job.failedReason === undefined ? {} : { reason: job.failedReason.slice(0, 200) }),
  };
}
