/** How long ended jobs stay: completed ones a day or 10,000 per queue, dead letters 14 days. */
import type { Queue } from 'bullmq';
import type { Backend, Chore } from './backend.ts';

export interface RetentionParts {
  readonly backend: Pick<Backend, 'kind' | 'now' | 'queue'>;
  readonly queues: readonly string[];
  /** Told the id of every dead letter that is deleted for its age: nothing leaves silently. */
  readonly onExpired: (queue: string, ids: readonly string[]) => void;
  /** Defaults are the promises above. */
  readonly limits?: RetentionLimits;
}

export interface RetentionLimits {
  readonly failedMs: number;
  readonly completedMs: number;
  readonly completedCount: number;
}

const promised: RetentionLimits = { failedMs: 14 * 86_400_000, completedMs: 86_400_000, completedCount: 10_000 };
const perCall = 1_000;

/**
 * BullMQ's own age rule acts only when another job fails, and silently; so dead letters are swept here, every minute.
 * On PostgreSQL its count rule reads every completed row at each completion, so there completed jobs are swept here
 * too, every 10 s; Redis does that by itself. Ages are by the store's clock: one machine's that is ahead must delete nothing.
 */
export function retentionChores({ backend, queues, onExpired, limits = promised }: RetentionParts): Chore[] {
  const failed: Chore = {
    name: 'expired dead letters',
    everyMs: 60_000,
    async run(signal) {
      for (const name of queues) {
        const before = (await backend.now()) - limits.failedMs;
        await removeEnded(backend.queue(name), 'failed', { before, signal, onRemoved: (ids) => onExpired(name, ids) });
      }
    },
  };
  const completed: Chore = {
    name: 'completed jobs',
    everyMs: 10_000,
    async run(signal) {
      for (const name of queues) {
        const queue = backend.queue(name);
        const now = await backend.now();
        await removeEnded(queue, 'completed', { before: now - limits.completedMs, signal });
        const excess = (await queue.getCompletedCount()) - limits.completedCount;
        await removeEnded(queue, 'completed', { before: now, most: excess, signal });
      }
    },
  };
  return backend.kind === 'redis' ? [failed] : [failed, completed];
}

interface Removal {
  /** Epoch ms of the store. */
  readonly before: number;
  /** Default: all. */
  readonly most?: number;
  readonly signal: AbortSignal;
  /** Told the ids of each call that removed some. */
  readonly onRemoved?: (ids: readonly string[]) => void;
}

/** Removes jobs that ended before a time, the oldest first; answers how many. BullMQ's `Queue.clean` counts back from this machine's clock. */
export async function removeEnded(
  queue: Queue,
  state: 'completed' | 'failed',
  { before, most = Number.POSITIVE_INFINITY, signal, onRemoved }: Removal,
): Promise<number> {
  for (let removed = 0; ; ) {
    const wanted = Math.min(perCall, most - removed);
    if (wanted <= 0 || signal.aborted) return removed;
    const ids = await queue.getBackend().cleanJobsByState(state, before, wanted);
    removed += ids.length;
    if (ids.length > 0) onRemoved?.(ids);
    if (ids.length < wanted) return removed;
  }
}
