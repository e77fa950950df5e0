/** How far behind a queue is. */
import type { Queue } from 'bullmq';

/** Jobs waiting or delayed. */
export async function depthOf(queue: Queue): Promise<number> {
  const counts = await queue.getJobCounts('waiting', 'prioritized', 'delayed');
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

const looked = 5;

/**
 * Seconds since the oldest waiting job could have started; 0 when none waits. Jobs that ran before are left out: their
 * age is that of their retries.
 */
export async function oldestAgeS(queue: Queue, now: number): Promise<number> {
  const [first, fair] = await Promise.all([
    queue.getJobs(['waiting'], 0, looked - 1, true),
    queue.getJobs(['prioritized'], 0, looked - 1, true),
  ]);
  const ages = [...first, ...fair]
    .filter((job) => job !== undefined && job.attemptsStarted === 0)
    .map((job) => now - job.timestamp - (job.opts.delay ?? 0));
  return Math.max(0, ...ages) / 1_000;
}
