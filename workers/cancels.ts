/**
 * Cancels of running attempts. The control message is the fast way; the record is the truth, read again for everything
 * that runs, so that a lost message costs five seconds.
 */
import type { Backend } from '../backends/backend.ts';
import { cancelKey } from '../backends/cancel-record.ts';
import type { Held } from './worker.ts';

const rereadMs = 5_000;
const keysPerRead = 500;

/** Returns the way to stop. `onError` hears of a read that failed; the next one comes five seconds later. */
export function watchCancels(
  backend: Pick<Backend, 'control' | 'records'>,
  held: () => readonly Held[],
  onError: (error: unknown) => void,
  everyMs: number = rereadMs,
): () => Promise<void> {
  const cancel = (found: Held): void => found.running.abort('CANCELLED', found.graceMs);
  const unlisten = backend.control.listen((message) => {
    if (message.kind !== 'cancel') return;
    for (const found of held())
      if (found.running.claim.id === message.id && found.running.claim.queue === message.queue) cancel(found);
  });
  let reading: Promise<void> = Promise.resolve();
  const reread = async (): Promise<void> => {
    const running = held();
    for (let start = 0; start < running.length; start += keysPerRead) {
      const part = running.slice(start, start + keysPerRead);
      const keys = part.map(({ running: { claim } }) => cancelKey(claim.queue, claim.id));
      const records = await backend.records.get(keys);
      for (const [index, found] of part.entries()) if (records[index] !== undefined) cancel(found);
    }
  };
  let isReading = false;
  const timer = setInterval(() => {
    if (isReading) return;
    isReading = true;
    reading = reread()
      .catch(onError)
      .finally(() => {
        isReading = false;
      });
  }, everyMs);
  return async () => {
    clearInterval(timer);
    unlisten();
    await reading;
  };
}
