/** Makes room in a store that is nearly full: completed jobs go before their day is over, the oldest first. */
import type { Backend, Chore } from './backend.ts';
import { removeEnded } from './retention.ts';

export interface MakeRoomParts {
  readonly backend: Pick<Backend, 'fullness' | 'now' | 'queue'>;
  readonly queues: readonly string[];
  /** Told once per queue and round in which something was removed. */
  readonly onRemoved: (queue: string, count: number) => void;
}

/** Below the share from which on adds are refused (80 %), so that there is room again before they have to be. */
const highShare = 0.75;
/** Whoever waits for a result has had it by now. */
const leastAgeMs = 60_000;
const atOnce = 1_000;

/** Does nothing on a store without a memory limit. Waiting jobs and dead letters are never touched. */
export function makeRoom({ backend, queues, onRemoved }: MakeRoomParts, ageMs = leastAgeMs): Chore {
  return {
    name: 'room in a full store',
    everyMs: 2_000,
    async run(signal) {
      for (const queue of queues) {
        if (signal.aborted || ((await backend.fullness()) ?? 0) < highShare) return;
        const before = (await backend.now()) - ageMs;
        const removed = await removeEnded(backend.queue(queue), 'completed', { before, most: atOnce, signal });
        if (removed > 0) onRemoved(queue, removed);
      }
    },
  };
}
