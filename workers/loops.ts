/** The claim loops of one process, all queues together: started and paused as one, watched, drained, closed. */
import { setTimeout as wait } from 'node:timers/promises';
import type { WorkerSample } from '../runtime/metrics.ts';
import {
  closeDeaf,
  heldOf,
  type Loop,
  type LoopsState,
  type OpenedLoop,
  openEntry,
  overdueMs,
  quietEntries,
  type ReviveParts,
  reasonOf,
  retireEntry,
  runEntry,
  silenceOf,
  watchLoops,
} from './revive.ts';

export interface Loops {
  /** Opens it; it claims when the others do. */
  add(loop: Loop): void;
  /** No further claim of this queue; what runs goes on, over a connection that is closed after it. */
  remove(name: string): void;
  /** Starts, pauses or resumes all of them. What runs goes on. */
  setClaiming(isClaiming: boolean): void;
  /** Which loop has free slots and got no answer from a store that answers others, for its block time + 15 s; undefined when none. */
  silent(): string | undefined;
  /** How many attempts the queue's loop runs at once from now on; what runs goes on. Nothing for a queue it does not have. */
  setConcurrency(name: string, concurrency: number): void;
  samples(): WorkerSample[];
  /** No further claim; waits until nothing is held or until `abortAt` (epoch ms), then tells what runs to stop and waits until `until`. */
  drain(abortAt: number, until: number): Promise<void>;
  /** Waits at most `waitMs`, then cuts the connections. */
  close(waitMs: number): Promise<void>;
}

const pollMs = 20;
/** Left for hand-backs after the last grace has run out. */
const handBackMs = 300;

export function createLoops(parts: ReviveParts): Loops {
  const { held } = parts;
  const state: LoopsState = { entries: [], retired: [], isClaiming: false, countedFrom: performance.now() };
  const watching = watchLoops(state, parts);
  let isStopped = false;
  /** Loops that had stopped asking when the way out began. */
  let deaf: readonly OpenedLoop[] = [];
  const opened = (): OpenedLoop[] => [
    ...state.entries.map(({ current }) => current),
    ...state.retired.map((one) => one.opened),
  ];
  const emptyBy = async (until: number): Promise<void> => {
    while (held.size > 0 && Date.now() < until) await wait(pollMs);
  };
  return {
    add(loop) {
      const entry = openEntry(loop);
      state.entries.push(entry);
      if (state.isClaiming) runEntry(entry, parts);
    },
    remove(name) {
      for (const entry of state.entries.filter(({ loop }) => loop.name === name)) {
        state.entries.splice(state.entries.indexOf(entry), 1);
        retireEntry(entry, state, parts);
      }
    },
    setClaiming(next) {
      if (next === state.isClaiming || isStopped) return;
      state.isClaiming = next;
      state.countedFrom = performance.now();
      for (const entry of state.entries) {
        const { worker } = entry.current;
        const failed = (error: unknown) => parts.onError(entry.loop.name, error);
        if (!next) worker.pause(true).catch(failed);
        // Paused for long, or with nothing to wait for, the loop has come to its end: this begins it anew.
        else if (worker.isPaused()) worker.resume().catch(failed);
        else runEntry(entry, parts);
      }
    },
    silent() {
      if (!state.isClaiming) return undefined;
      const found = state.entries.find((entry) => overdueMs(entry, state, held) > silenceOf(parts));
      return found === undefined ? undefined : reasonOf(found, state, held);
    },
    samples: () =>
      state.entries.map(({ loop: { name, concurrency } }) => {
        return { queue: name, concurrency, active: heldOf(name, held).length };
      }),
    setConcurrency(name, concurrency) {
      for (const { current, loop } of state.entries.filter((entry) => entry.loop.name === name)) {
        const { worker } = current;
        const isMore = concurrency > loop.concurrency;
        loop.concurrency = concurrency;
        worker.concurrency = concurrency;
        if (!isMore || !state.isClaiming) continue;
        // A loop whose slots were all taken waits for one of its jobs to end; this wakes it.
        const wake = async (): Promise<void> => {
          await worker.pause(true);
          if (state.isClaiming) await worker.resume();
        };
        wake().catch((error: unknown) => parts.onError(name, error));
      }
    },
    async drain(abortAt, until) {
      if (state.isClaiming) deaf = quietEntries(state, parts).map(({ current }) => current);
      isStopped = true;
      state.isClaiming = false;
      watching.stop();
      await Promise.all(opened().map(({ worker }) => worker.pause(true)));
      await emptyBy(abortAt);
      const leftMs = Math.max(0, until - Date.now() - handBackMs);
      for (const { running, graceMs } of held) running.abort('SHUTDOWN', Math.min(graceMs, leftMs));
      await emptyBy(until);
    },
    async close(waitMs) {
      const lost = [...deaf, ...state.retired.map((one) => one.opened)];
      const closing = Promise.all(opened().map((one) => (lost.includes(one) ? closeDeaf(one) : one.worker.close())));
      const cut = new AbortController();
      const late = wait(Math.max(0, waitMs), 'late', { signal: cut.signal }).catch(() => 'closed');
      const outcome = await Promise.race([closing.then(() => 'closed'), late]);
      cut.abort();
      if (outcome === 'late') await Promise.all(opened().map(({ worker }) => worker.getBackend().close(true)));
    },
  };
}
