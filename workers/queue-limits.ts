/** Makes the concurrency and the rate of whole queues equal to what their types declare. */
import type { Backend } from '../backends/backend.ts';
import type { Job } from '../jobs/define.ts';
import { isRateOfAdds } from '../jobs/policy.ts';

/**
 * Writes only what a release has changed, so that a value an operator set by hand stays until the declared one changes.
 * One read for all types without such limits.
 */
export async function applyQueueLimits(
  backend: Pick<Backend, 'queue' | 'records'>,
  jobs: readonly Job[],
): Promise<void> {
  const keys = jobs.map(({ name }) => `queue-limits:${name}`);
  const stored = await backend.records.get(keys);
  for (const [index, job] of jobs.entries()) {
    const key = keys[index] ?? '';
    const before = stored[index];
    const declared = JSON.stringify(declaredLimits(job));
    if (declared === (before?.value ?? '{}')) continue;
    await setLimits(backend, job);
    // Another process of this release may have been faster; it has set the same.
    if (before === undefined) await backend.records.putIfAbsent(key, declared, null);
    else await backend.records.compareAndSet(key, before.version, declared, null);
  }
}

function declaredLimits({ policy: { perQueue } }: Job) {
  const { concurrency, rate } = perQueue;
  return {
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(rate === undefined || isRateOfAdds('perQueue', rate)
      ? {}
      : { rate: { points: rate.points, windowMs: rate.windowMs } }),
  };
}

async function setLimits(backend: Pick<Backend, 'queue'>, job: Job): Promise<void> {
  const queue = backend.queue(job.name);
  const { concurrency, rate } = declaredLimits(job);
  await (concurrency === undefined ? queue.removeGlobalConcurrency() : queue.setGlobalConcurrency(concurrency));
  await (rate === undefined ? queue.removeGlobalRateLimit() : queue.setGlobalRateLimit(rate.points, rate.windowMs));
}
