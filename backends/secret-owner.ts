/** For whom the secret fields of a stored job are sealed. */
import type { SecretBox, SecretLock, SecretOwner } from '../runtime/secret-box.ts';
import { slotOf } from './slot-id.ts';

/** What a schedule brings to each of its jobs is sealed once, before any of them is there. */
export const scheduleOwner = (type: string): SecretOwner => ({ tenant: '-', id: `schedule:${type}` });

/** `id` as stored. */
export function lockOf(box: SecretBox, queue: string, job: SecretOwner): SecretLock {
  return box.lockFor(slotOf(queue, job.id) === undefined ? job : scheduleOwner(queue));
}
