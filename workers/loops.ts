/** The claim loops of one process, all queues together: started and paused as one, watched, drained, closed. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Worker } from 'bullmq';
import type { ClaimWatch } from '../backends/backend.ts';
import type { WorkerSample } from '../runtime/metrics.ts';
import type { Held } from './worker.ts';

export interface Loop {
  readonly name: string;
  readonly worker: Worker;
  readonly watch: ClaimWatch;
  readonly concurrency: number;
}

export interface Loops {
  add(loop: Loop): void;
  /** Starts, pauses or resumes all of them. What runs goes on. */
  setClaiming(isClaiming: boolean): void;
  /** Which loop has free slots and got no answer from the store for its block time + 15 s; undefined when none. */
  silent(): string | undefined;
  samples(): WorkerSample[];
  /** No further claim; waits until nothing is held or until `abortAt` (epoch ms), then tells what runs to stop and waits until `until`. */
  drain(abortAt: number, until: number): Promise<void>;
  /** Waits at most `waitMs`, then cuts the connections. */
  close(waitMs: number): Promise<void>;
}

/** Beyond the longest wait for the store: no answer for so long means that a loop has stopped. */
const silenceMs = 15_000;
const pollMs = 20;
/** Left for hand-backs after the last grace has run out. */
const handBackMs = 300;

/** `onError`: a loop ended by an error, which BullMQ's own loop never does while the store is there. */
export function createLoops(held: ReadonlySet<Held>, onError: (queue: string, error: unknown) => void): Loops {
  const loops: Loop[] = [];
  let isClaiming = false;
  let isStopped = false;
  let resumedAt = Date.now();
  const activeOf = (name: string): number => [...held].filter(({ running }) => running.claim.queue === name).length;
  const pauseAll = () => Promise.all(loops.map(({ worker }) => worker.pause(true)));
  const emptyBy = async (until: number): Promise<void> => {
    while (held.size > 0 && Date.now() < until) await wait(pollMs);
  };
  return {
    add: (loop) => void loops.push(loop),
    setClaiming(next) {
      if (next === isClaiming || isStopped) return;
      isClaiming = next;
      resumedAt = Date.now();
      for (const { worker, name } of loops) {
        const failed = (error: unknown) => onError(name, error);
        if (!next) worker.pause(true).catch(failed);
        else if (worker.isRunning()) worker.resume().catch(failed);
        else worker.run().catch(failed);
      }
    },
    silent() {
      if (!isClaiming) return undefined;
      for (const { name, concurrency, watch } of loops) {
        if (activeOf(name) >= concurrency) continue;
        const quietMs = Date.now() - Math.max(watch.lastAnswerAt(), resumedAt);
        if (quietMs > watch.blockMs + silenceMs)
          return `The claim loop of ${name} has had no answer from the store for ${Math.round(quietMs / 1_000)} s.`;
      }
      return undefined;
    },
    samples: () => loops.map(({ name, concurrency }) => ({ queue: name, concurrency, active: activeOf(name) })),
    async drain(abortAt, until) {
      isStopped = true;
      isClaiming = false;
      await pauseAll();
      await emptyBy(abortAt);
      const leftMs = Math.max(0, until - Date.now() - handBackMs);
      for (const { running, graceMs } of held) running.abort('SHUTDOWN', Math.min(graceMs, leftMs));
      await emptyBy(until);
    },
    async close(waitMs) {
      const closing = Promise.all(loops.map(({ worker }) => worker.close()));
      const cut = new AbortController();
      const late = wait(Math.max(0, waitMs), 'late', { signal: cut.signal }).catch(() => 'closed');
      const outcome = await Promise.race([closing.then(() => 'closed'), late]);
      cut.abort();
      if (outcome === 'late') await Promise.all(loops.map(({ worker }) => worker.getBackend().close(true)));
    },
  };
}
