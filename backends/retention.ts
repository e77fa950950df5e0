/** How long ended jobs stay: completed ones a day or 10,000 per queue, dead letters 14 days. */
import type { Backend, Chore } from './backend.ts';

export interface RetentionParts {
  readonly backend: Pick<Backend, 'kind' | 'queue'>;
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
 * too, every 10 s; Redis does that by itself.
 */
export function retentionChores({ backend, queues, onExpired, limits = promised }: RetentionParts): Chore[] {
  const failed: Chore = {
    name: 'expired dead letters',
    everyMs: 60_000,
    async run(signal) {
      for (const name of queues) {
        for (let last = perCall; last === perCall && !signal.aborted; ) {
          const ids = await backend.queue(name).clean(limits.failedMs, perCall, 'failed');
          if (ids.length > 0) onExpired(name, ids);
          last = ids.length;
        }
      }
    },
  };
  const completed: Chore = {
    name: 'completed jobs',
    everyMs: 10_000,
    async run(signal) {
      for (const name of queues) {
        const queue = backend.queue(name);
        if (!signal.aborted) await queue.clean(limits.completedMs, 0, 'completed');
        const excess = (await queue.getCompletedCount()) - limits.completedCount;
        if (excess > 0 && !signal.aborted) await queue.clean(0, excess, 'completed');
      }
    },
  };
  return backend.kind === 'redis' ? [failed] : [failed, completed];
}
