/**
 * Chores that one process does for the whole fleet, under one lease record. Every API and worker process competes for
 * it, so that a fleet always has a keeper and never two for longer than a lease.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Chore, RecordStore } from './backend.ts';
import { asError } from './unreachable.ts';

export interface KeeperParts {
  readonly records: Pick<RecordStore, 'acquire' | 'release'>;
  /** Names this process in the lease record; unique in the fleet. */
  readonly instance: string;
  readonly chores: readonly Chore[];
  readonly onError: (error: Error) => void;
  /** Default 15,000. */
  readonly leaseMs?: number;
  /** Default 5,000; at most a third of the lease. */
  readonly renewMs?: number;
}

export interface Keeper {
  /** Whether this process does the chores now. */
  isKeeping(): boolean;
  /** Aborts the chores, waits for them and gives the lease away at once. */
  close(): Promise<void>;
}

const key = 'keeper';

export function startKeeper(parts: KeeperParts): Keeper {
  const { records, instance, leaseMs = 15_000, renewMs = 5_000 } = parts;
  const stopped = new AbortController();
  let shift: Shift | undefined;
  const endShift = async () => {
    const ending = shift;
    shift = undefined;
    await ending?.end();
  };
  const compete = async () => {
    let heldUntil = Number.NEGATIVE_INFINITY;
    while (!stopped.signal.aborted) {
      // Monotonic: a clock that is set back would keep a lease that is long lost.
      const askedAt = performance.now();
      try {
        const isHeld = await records.acquire(key, instance, 1, leaseMs);
        heldUntil = isHeld ? askedAt + leaseMs : Number.NEGATIVE_INFINITY;
      } catch (error) {
        // The lease may well be ours still: it ends by its own time, not by one lost answer.
        parts.onError(asError(error));
      }
      const isKeeper = heldUntil - renewMs > performance.now();
      if (isKeeper && !stopped.signal.aborted) shift ??= startShift(parts);
      else await endShift();
      await pause(renewMs, stopped.signal);
    }
    await endShift();
    await records.release(key, instance);
  };
  const competing = compete().catch((error: unknown) => parts.onError(asError(error)));
  return {
    isKeeping: () => shift !== undefined,
    async close() {
      stopped.abort();
      await competing;
    },
  };
}

interface Shift {
  end(): Promise<void>;
}

/** Every chore at once when a shift begins, then again `everyMs` after its end; one run of a chore at a time. */
function startShift({ chores, onError }: KeeperParts): Shift {
  const ended = new AbortController();
  const rounds = chores.map(async (chore) => {
    while (!ended.signal.aborted) {
      try {
        await chore.run(ended.signal);
      } catch (error) {
        if (!ended.signal.aborted)
          onError(new Error(`Chore "${chore.name}" failed and is tried again`, { cause: error }));
      }
      await pause(chore.everyMs, ended.signal);
    }
  });
  return {
    async end() {
      ended.abort();
      await Promise.all(rounds);
    },
  };
}

/** Ends early, without complaint, when aborted; does not keep a process alive. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal, ref: false }).catch(() => undefined);
}
