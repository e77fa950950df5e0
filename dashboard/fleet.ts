/** Which job types the fleet can run, and which are paused, as the board shows it. Workers renew their records every 20 s. */
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import type { Pause, Pauses } from '../backends/pauses.ts';

export interface Fleet {
  /** Reads the records again unless that was done in the last two seconds. */
  refresh(): Promise<void>;
  /** Some worker runs this type. */
  readonly runs: (type: string) => boolean;
  /** Why no worker can; undefined when one does, or when none has looked. */
  readonly reason: (type: string) => string | undefined;
  /** Who paused the queue, until when and why, in a sentence; undefined when nobody did. */
  readonly pause: (type: string) => string | undefined;
}

const note = z.object({ reason: z.string() });
const freshMs = 2_000;

export function watchFleet(
  { backend, pauses }: { readonly backend: Pick<Backend, 'records'>; readonly pauses: Pick<Pauses, 'queues'> },
  types: readonly string[],
  now: () => number = Date.now,
): Fleet {
  const running = new Set<string>();
  const reasons = new Map<string, string>();
  let paused: ReadonlyMap<string, Pause> = new Map();
  let readAt = Number.NEGATIVE_INFINITY;
  return {
    async refresh() {
      if (now() - readAt < freshMs) return;
      readAt = now();
      const [found, stopped] = await Promise.all([
        backend.records.get(types.flatMap((type) => [`type-ok:${type}`, `type-missing:${type}`])),
        pauses.queues(types),
      ]);
      paused = stopped;
      running.clear();
      reasons.clear();
      for (const [index, type] of types.entries()) {
        if (found[2 * index] !== undefined) running.add(type);
        else if (found[2 * index + 1] !== undefined) reasons.set(type, reasonOf(found[2 * index + 1]?.value ?? ''));
      }
    },
    runs: (type) => running.has(type),
    reason: (type) => reasons.get(type),
    pause: (type) => {
      const pause = paused.get(type);
      if (pause === undefined) return undefined;
      const until = pause.until === undefined ? '' : ` until ${new Date(pause.until).toISOString()}`;
      return `Paused by ${pause.by}${until}: ${pause.reason}.`;
    },
  };
}

function reasonOf(value: string): string {
  try {
    return note.parse(JSON.parse(value)).reason;
  } catch {
    return 'no worker can run it'; // Written by another release; that it is missing is all we need.
  }
}
