/** Which job types the fleet can run, as the board shows it. Workers say so in records that they renew every 20 s. */
import { z } from 'zod';
import type { RecordStore } from '../backends/backend.ts';

export interface Fleet {
  /** Reads the records again unless that was done in the last two seconds. */
  refresh(): Promise<void>;
  /** Some worker runs this type. */
  readonly runs: (type: string) => boolean;
  /** Why no worker can; undefined when one does, or when none has looked. */
  readonly reason: (type: string) => string | undefined;
}

const note = z.object({ reason: z.string() });
const freshMs = 2_000;

export function watchFleet(records: RecordStore, types: readonly string[], now: () => number = Date.now): Fleet {
  const running = new Set<string>();
  const reasons = new Map<string, string>();
  let readAt = Number.NEGATIVE_INFINITY;
  return {
    async refresh() {
      if (now() - readAt < freshMs) return;
      readAt = now();
      const found = await records.get(types.flatMap((type) => [`type-ok:${type}`, `type-missing:${type}`]));
      running.clear();
      reasons.clear();
      for (const [index, type] of types.entries()) {
        if (found[2 * index] !== undefined) running.add(type);
        else if (found[2 * index + 1] !== undefined) reasons.set(type, reasonOf(found[2 * index + 1]?.value ?? ''));
      }
    },
    runs: (type) => running.has(type),
    reason: (type) => reasons.get(type),
  };
}

function reasonOf(value: string): string {
  try {
    return note.parse(JSON.parse(value)).reason;
  } catch {
    return 'no worker can run it'; // Written by another release; that it is missing is all we need.
  }
}
