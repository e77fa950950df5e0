/**
 * The record that says a job is not wanted any more (`cancel:<queue>:<id>`). Workers look for it before they run a job
 * again and while they run one; it answers for a job that is gone. It holds for 24 hours, or until the job has ended all
 * the same: a redrive asks for the work again, and an old wish must not take that job away.
 */
import type { RecordStore } from './backend.ts';

const ttlMs = 24 * 3_600_000;

export const cancelKey = (queue: string, id: string): string => `cancel:${queue}:${id}`;

/** The first cancel of a job counts. `note` is JSON. */
export async function putCancel(records: RecordStore, queue: string, id: string, note: object): Promise<void> {
  await records.putIfAbsent(cancelKey(queue, id), JSON.stringify(note), ttlMs);
}

export async function forgetCancel(records: RecordStore, queue: string, id: string): Promise<void> {
  const key = cancelKey(queue, id);
  const [stored] = await records.get([key]);
  if (stored !== undefined) await records.compareAndSet(key, stored.version, null, null);
}
