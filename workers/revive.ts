/**
 * Finds claim loops that stopped asking the store and opens them anew. A connection that is gone without a word, or a
 * claim that never returns, leaves a worker that looks alive and takes no job: nobody but itself can see it.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Worker } from 'bullmq';
import type { ClaimWatch } from '../backends/backend.ts';
import type { Held } from './worker.ts';

export interface OpenedLoop {
  readonly worker: Worker;
  readonly watch: ClaimWatch;
}

export interface Loop {
  readonly name: string;
  /** Operators may change it. */
  concurrency: number;
  /** Not claiming yet. Called again when the loop of before has stopped asking; what that one still claims is handed back. */
  readonly open: (isRetired: () => boolean) => OpenedLoop;
}

export interface ReviveParts {
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

/** One queue's loop as it is now. */
export interface Entry {
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

/** What the loops of one process share. */
export interface LoopsState {
  readonly entries: Entry[];
  retired: readonly Retired[];
  isClaiming: boolean;
  /** Silence counts from here on: the last start, or the last time that the store answered nobody. Monotonic ms: clocks are set. */
  countedFrom: number;
}

const pingMs = 5_000;
/** A loop that asked for so long after it was rebuilt is as good as new. */
const healedMs = 600_000;

/** Beyond the longest wait for the store: no answer for so long means that a loop has stopped. */
export function silenceOf({ silenceMs = 15_000 }: ReviveParts): number {
  return silenceMs;
}

export function heldOf(name: string, held: ReadonlySet<Held>): Held[] {
  return [...held].filter(({ running }) => running.claim.queue === name);
}

/** How long past its longest wait a loop with free slots is without an answer, in ms; 0 or less = it asks. */
export function overdueMs({ loop, current: { watch } }: Entry, state: LoopsState, held: ReadonlySet<Held>): number {
  if (heldOf(loop.name, held).length >= loop.concurrency) return 0;
  return performance.now() - Math.max(watch.lastAnswerAt(), state.countedFrom) - watch.blockMs;
}

export function reasonOf(entry: Entry, state: LoopsState, held: ReadonlySet<Held>): string {
  const quietMs = overdueMs(entry, state, held) + entry.current.watch.blockMs;
  return `The claim loop of ${entry.loop.name} has had no answer from the store for ${Math.round(quietMs / 1_000)} s.`;
}

export function openEntry(loop: Loop): Entry {
  return { loop, rebuiltAt: undefined, ...generation(loop) };
}

function generation(loop: Loop): Pick<Entry, 'current' | 'retire'> {
  let isRetired = false;
  const retire = (): void => {
    isRetired = true;
  };
  return { current: loop.open(() => isRetired), retire };
}

export function runEntry({ loop, current }: Entry, { onError }: ReviveParts): void {
  current.worker.run().catch((error: unknown) => onError(loop.name, error));
}

/** Looks at all loops until it is stopped. */
export function watchLoops(state: LoopsState, parts: ReviveParts): { stop(): void } {
  let isChecking = false;
  let isStuck = false;
  const revive = (entry: Entry): void => {
    const reason = reasonOf(entry, state, parts.held);
    const isAgain = entry.rebuiltAt !== undefined && performance.now() - entry.rebuiltAt < healedMs;
    if (!isAgain) {
      rebuild(entry, state, parts);
      parts.onRebuilt(reason);
    } else if (!isStuck) {
      isStuck = true;
      parts.onStuck(reason);
    }
  };
  const check = async (): Promise<void> => {
    await release(state, parts.held);
    // At half of the silence, so that it is known in time whether the store answers.
    const quiet = quietEntries(state, parts);
    if (!state.isClaiming || quiet.length === 0) return;
    if (!(await answers(parts.ping))) state.countedFrom = performance.now();
    for (const entry of quiet)
      if (state.isClaiming && overdueMs(entry, state, parts.held) > silenceOf(parts)) revive(entry);
  };
  const timer = setInterval(() => {
    if (isChecking) return;
    isChecking = true;
    check()
      .catch((error: unknown) => parts.onError('-', error))
      .finally(() => {
        isChecking = false;
      });
  }, parts.checkEveryMs ?? 1_000).unref();
  return { stop: () => clearInterval(timer) };
}

/** Those that have been silent for half of what is too long. */
export function quietEntries(state: LoopsState, parts: ReviveParts): Entry[] {
  return state.entries.filter((entry) => overdueMs(entry, state, parts.held) > silenceOf(parts) / 2);
}

/** It claims no more, and is closed when what it had claimed has ended. */
export function retireEntry(entry: Entry, state: LoopsState, parts: ReviveParts): void {
  const old = entry.current;
  entry.retire();
  old.worker.pause(true).catch((error: unknown) => parts.onError(entry.loop.name, error));
  state.retired = [...state.retired, { opened: old, held: heldOf(entry.loop.name, parts.held) }];
}

function rebuild(entry: Entry, state: LoopsState, parts: ReviveParts): void {
  retireEntry(entry, state, parts);
  Object.assign(entry, generation(entry.loop), { rebuiltAt: performance.now() });
  runEntry(entry, parts);
}

async function release(state: LoopsState, held: ReadonlySet<Held>): Promise<void> {
  const over = state.retired.filter((one) => one.held.every((each) => !held.has(each)));
  state.retired = state.retired.filter((one) => !over.includes(one));
  await Promise.all(over.map(({ opened }) => closeDeaf(opened)));
}

/** Left for what a loop that is closed by force has still to say. */
const lastWordsMs = 300;

/** By force: waiting for its claim would be waiting for ever. What it had running has ended; its last words may be on their way. */
export async function closeDeaf({ worker }: OpenedLoop): Promise<void> {
  await wait(lastWordsMs);
  await worker.close(true);
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
