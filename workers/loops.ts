/** The claim loops of one process, all queues together: started and paused as one, watched, rebuilt, drained, closed. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Worker } from 'bullmq';
import type { ClaimWatch } from '../backends/backend.ts';
import type { WorkerSample } from '../runtime/metrics.ts';
import type { Held } from './worker.ts';

export interface OpenedLoop {
  readonly worker: Worker;
  readonly watch: ClaimWatch;
}

export interface Loop {
  readonly name: string;
  readonly concurrency: number;
  /** Not claiming yet. Called again when the loop of before has stopped asking; what that one still claims is handed back. */
  readonly open: (isRetired: () => boolean) => OpenedLoop;
}

export interface LoopsParts {
  readonly held: ReadonlySet<Held>;
  /** Whether the store answers others: when it does not, no loop is to blame. */
  readonly ping: () => Promise<void>;
  /** A loop ended by an error, which BullMQ's own loop never does while the store is there. */
  readonly onError: (queue: string, error: unknown) => void;
  readonly onRebuilt: (reason: string) => void;
  /** A loop stopped asking a second time: this process is of no more use. At most once. */
  readonly onStuck: (reason: string) => void;
  /** Default 15,000. */
  readonly silenceMs?: number;
  /** Default 1,000. */
  readonly checkEveryMs?: number;
}

export interface Loops {
  /** Opens it; it claims when the others do. */
  add(loop: Loop): void;
  /** Starts, pauses or resumes all of them. What runs goes on. */
  setClaiming(isClaiming: boolean): void;
  /** Which loop has free slots and got no answer from a store that answers others, for its block time + 15 s; undefined when none. */
  silent(): string | undefined;
  samples(): WorkerSample[];
  /** No further claim; waits until nothing is held or until `abortAt` (epoch ms), then tells what runs to stop and waits until `until`. */
  drain(abortAt: number, until: number): Promise<void>;
  /** Waits at most `waitMs`, then cuts the connections. */
  close(waitMs: number): Promise<void>;
}

/** One queue's loop, and the loops it replaced. */
interface Entry {
  readonly loop: Loop;
  current: OpenedLoop;
  retire: () => void;
  rebuiltAt: number | undefined;
}

/** A replaced loop stays until the attempts it had claimed have ended: they finish over its connection. */
interface Retired {
  readonly opened: OpenedLoop;
  readonly held: readonly Held[];
}

const pollMs = 20;
/** Left for hand-backs after the last grace has run out. */
const handBackMs = 300;
const pingMs = 5_000;
/** A loop that asked for so long after it was rebuilt is as good as new. */
const healedMs = 600_000;

export function createLoops(parts: LoopsParts): Loops {
  const { held, onError, silenceMs = 15_000 } = parts;
  const entries: Entry[] = [];
  let retired: Retired[] = [];
  let isClaiming = false;
  let isStopped = false;
  let isChecking = false;
  let isStuck = false;
  /** Silence counts from here on: the last start, or the last time that the store did not answer at all. */
  let countedFrom = Date.now();
  /** Of the loops that asked no more when the way out began: waiting for their claims would be waiting for ever. */
  let deaf: readonly Entry[] = [];
  const heldOf = (name: string): Held[] => [...held].filter(({ running }) => running.claim.queue === name);
  const workers = (): Worker[] =>
    [...entries.map(({ current }) => current), ...retired.map((one) => one.opened)].map(({ worker }) => worker);
  const emptyBy = async (until: number): Promise<void> => {
    while (held.size > 0 && Date.now() < until) await wait(pollMs);
  };
  /** Beyond the longest wait for the store, with free slots; 0 or less = it asks. */
  const overdueMs = ({ loop, current: { watch } }: Entry): number => {
    if (heldOf(loop.name).length >= loop.concurrency) return 0;
    return Date.now() - Math.max(watch.lastAnswerAt(), countedFrom) - watch.blockMs;
  };
  const reasonOf = (entry: Entry): string => {
    const quietMs = overdueMs(entry) + entry.current.watch.blockMs;
    return `The claim loop of ${entry.loop.name} has had no answer from the store for ${Math.round(quietMs / 1_000)} s.`;
  };
  const run = ({ loop, current: { worker } }: Entry): void => {
    worker.run().catch((error: unknown) => onError(loop.name, error));
  };
  const open = (loop: Loop): Pick<Entry, 'current' | 'retire'> => {
    let isRetired = false;
    const current = loop.open(() => isRetired);
    return {
      current,
      retire: () => {
        isRetired = true;
      },
    };
  };
  const rebuild = (entry: Entry): void => {
    const old = entry.current;
    entry.retire();
    old.worker.pause(true).catch((error: unknown) => onError(entry.loop.name, error));
    retired.push({ opened: old, held: heldOf(entry.loop.name) });
    Object.assign(entry, open(entry.loop), { rebuiltAt: Date.now() });
    run(entry);
  };
  const revive = (entry: Entry): void => {
    const reason = reasonOf(entry);
    const isAgain = entry.rebuiltAt !== undefined && Date.now() - entry.rebuiltAt < healedMs;
    if (!isAgain) {
      rebuild(entry);
      parts.onRebuilt(reason);
    } else if (!isStuck) {
      isStuck = true;
      parts.onStuck(reason);
    }
  };
  const release = async (): Promise<void> => {
    const over = retired.filter((one) => one.held.every((each) => !held.has(each)));
    retired = retired.filter((one) => !over.includes(one));
    // By force: its claim never returns.
    await Promise.all(over.map(({ opened }) => opened.worker.close(true)));
  };
  const check = async (): Promise<void> => {
    await release();
    // Half of the time before a loop counts as silent: then it is known whether the store answers.
    const quiet = entries.filter((entry) => overdueMs(entry) > silenceMs / 2);
    if (!isClaiming || quiet.length === 0) return;
    if (!(await answers(parts.ping))) countedFrom = Date.now();
    for (const entry of quiet) if (isClaiming && overdueMs(entry) > silenceMs) revive(entry);
  };
  const checking = setInterval(() => {
    if (isChecking) return;
    isChecking = true;
    check()
      .catch((error: unknown) => onError('-', error))
      .finally(() => {
        isChecking = false;
      });
  }, parts.checkEveryMs ?? 1_000).unref();
  return {
    add(loop) {
      const entry: Entry = { loop, rebuiltAt: undefined, ...open(loop) };
      entries.push(entry);
      if (isClaiming) run(entry);
    },
    setClaiming(next) {
      if (next === isClaiming || isStopped) return;
      isClaiming = next;
      countedFrom = Date.now();
      for (const entry of entries) {
        const { worker } = entry.current;
        const failed = (error: unknown) => onError(entry.loop.name, error);
        if (!next) worker.pause(true).catch(failed);
        else if (worker.isRunning()) worker.resume().catch(failed);
        else run(entry);
      }
    },
    silent() {
      const found = isClaiming ? entries.find((entry) => overdueMs(entry) > silenceMs) : undefined;
      return found === undefined ? undefined : reasonOf(found);
    },
    samples: () =>
      entries.map(({ loop: { name, concurrency } }) => ({ queue: name, concurrency, active: heldOf(name).length })),
    async drain(abortAt, until) {
      deaf = entries.filter((entry) => isClaiming && overdueMs(entry) > silenceMs / 2);
      isStopped = true;
      isClaiming = false;
      clearInterval(checking);
      await Promise.all(workers().map((worker) => worker.pause(true)));
      await emptyBy(abortAt);
      const leftMs = Math.max(0, until - Date.now() - handBackMs);
      for (const { running, graceMs } of held) running.abort('SHUTDOWN', Math.min(graceMs, leftMs));
      await emptyBy(until);
    },
    async close(waitMs) {
      const lost = [...deaf.map(({ current }) => current), ...retired.map(({ opened }) => opened)];
      const closing = Promise.all([
        ...entries.filter((entry) => !deaf.includes(entry)).map(({ current }) => current.worker.close()),
        // What they had running has ended; its last words may still be on their way.
        ...lost.map(({ worker }) => wait(handBackMs).then(() => worker.close(true))),
      ]);
      const cut = new AbortController();
      const late = wait(Math.max(0, waitMs), 'late', { signal: cut.signal }).catch(() => 'closed');
      const outcome = await Promise.race([closing.then(() => 'closed'), late]);
      cut.abort();
      if (outcome === 'late') await Promise.all(workers().map((worker) => worker.getBackend().close(true)));
    },
  };
}

/** False when it fails, and when it takes so long that it might as well have. */
async function answers(ping: () => Promise<void>): Promise<boolean> {
  const over = new AbortController();
  const late = wait(pingMs, false, { signal: over.signal }).catch(() => false);
  const answered = ping().then(
    () => true,
    () => false,
  );
  const isThere = await Promise.race([answered, late]);
  over.abort();
  return isThere;
}
