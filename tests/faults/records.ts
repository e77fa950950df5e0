/** Every job of a queue, whatever its state. */
import type { Job, Queue } from 'bullmq';
import type { FinalRecord } from './checker.ts';

const ends = ['completed', 'failed'] as const;
const open = ['active', 'waiting', 'delayed', 'prioritized'] as const;
const states = [...ends, ...open];

export type JobCounts = Readonly<Record<string, number>>;

/** Jobs by state, in one look of the store. */
export const countJobs = (queue: Queue): Promise<JobCounts> => queue.getJobCounts(...states);

/** Of those, the jobs that have not ended. */
export const openOf = (counts: JobCounts): number => open.reduce((sum, state) => sum + (counts[state] ?? 0), 0);

/** And those that nobody has taken up. */
export const waitingOf = (counts: JobCounts): number => openOf(counts) - (counts['active'] ?? 0);

export const allOf = (counts: JobCounts): number => Object.values(counts).reduce((sum, count) => sum + count, 0);

/** A store that answers slowly is not asked for thousands at once. */
const pageSize = 200;

/** Read when the run is over: nothing moves between two of the lists. */
export async function jobsOf(queue: Queue): Promise<FinalRecord[]> {
  const records = new Map<string, FinalRecord>();
  for (const state of states) {
    for (let from = 0, read = pageSize; read === pageSize; from += pageSize) {
      const jobs = await queue.getJobs([state], from, from + pageSize - 1);
      read = jobs.length;
      for (const job of jobs) {
        // A list may name a job whose record is gone.
        if (job?.id !== undefined && !records.has(job.id)) records.set(job.id, recordOf(job, job.id, state));
      }
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
    claims: job.attemptsStarted,
    ...(job.failedReason === undefined ? {} : { reason: job.failedReason.slice(0, 200) }),
  };
}
