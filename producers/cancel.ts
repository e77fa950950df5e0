/**
 * Cancels a job. The record comes first: it is the truth, and whoever meets the job later (a worker at its claim, a
 * reader of its status) finds it there. The control message only makes the owner of a running job, and who watches a
 * queued one, hear it at once.
 */
import type { Job as StoredJob } from 'bullmq';
import type { Backend } from '../backends/backend.ts';
import { forgetCancel, putCancel } from '../backends/cancel-record.ts';
import { cancelNoteOf, outsideState, readStatus } from './job-status.ts';

/**
 * `cancelled`: it was queued and is gone. `cancelling`: it runs, its handler is being told. `ended`: too late, nothing was
 * done. `scheduled`: the next tick of a schedule, which makes the one after it: nothing was done, pause the schedule.
 */
export type CancelAnswer = 'cancelled' | 'cancelling' | 'ended' | 'scheduled';

/** Undefined for an id nobody knows. Cancelling twice answers the same. */
export async function cancelJob(backend: Backend, queue: string, id: string): Promise<CancelAnswer | undefined> {
  const job = await backend.queue(queue).getJob(id);
  const state = job === undefined ? undefined : outsideState(await job.getState());
  if (job === undefined || state === undefined) {
    return (await readStatus(backend, queue, id))?.status === 'cancelled' ? 'cancelled' : undefined;
  }
  if (state === 'completed' || state === 'failed') return 'ended';
  if (job.repeatJobKey !== undefined && job.attemptsStarted === 0 && state !== 'active') return 'scheduled';
  await putCancel(backend.records, queue, id, cancelNoteOf(job, state, await backend.now()));
  const isRemoved = state !== 'active' && (await removed(job));
  await backend.control.send({ kind: 'cancel', queue, id });
  if (isRemoved) return 'cancelled';
  const latest = outsideState(await job.getState());
  if (latest !== 'completed' && latest !== 'failed') return 'cancelling';
  // Nothing was done, so nothing may stay that would stop the job when it is redriven.
  await forgetCancel(backend.records, queue, id);
  return 'ended';
}

/** False when a worker claimed the job in the meantime: BullMQ refuses to remove what is locked. */
async function removed(job: StoredJob): Promise<boolean> {
  try {
    await job.remove();
    return true;
  } catch (error) {
    if (outsideState(await job.getState()) === undefined) return true;
    if (error instanceof Error && /locked/i.test(error.message)) return false;
    throw error;
  }
}
