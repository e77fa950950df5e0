/** One side of the queue benches: what is done to ours and to every peer alike, on one server. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Queue } from 'bullmq';
import { handlerHooks } from './hooks.ts';
import { type Payload, payloadOf, payloadsOf, type Size } from './payload.ts';
import type { Server } from './servers.ts';

export const concurrency = 50;
/** Of every job, on every side: three attempts, the first retry after a second, then twice as long. */
export const retrying = { attempts: 3, delayMs: 1_000 } as const;

export type Counts = Readonly<Record<'active' | 'delayed' | 'failed' | 'waiting', number>>;

export interface Side {
  readonly name: string;
  add(payload: Payload): Promise<void>;
  /** In one call. */
  addMany(payloads: readonly Payload[]): Promise<void>;
  /** Starts one worker; its handler is `handle`. `stop` waits for what runs. */
  work(): Promise<{ readonly stop: () => Promise<void> }>;
  /** Jobs that have not ended well. */
  counts(): Promise<Counts>;
  /** Removes every job, so that rounds do not meet. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

/** The handler of the peers; ours are job types in `bench/jobs`. */
export async function handle(payload: Pick<Payload, 'at'>): Promise<null> {
  handlerHooks.start(payload);
  if (handlerHooks.work !== undefined) await handlerHooks.work();
  handlerHooks.end();
  return null;
}

/** Every job of a run has ended well, or the run is void. */
export async function assertEmpty(side: Pick<Side, 'counts' | 'name'>): Promise<void> {
  const counts = await side.counts();
  if (Object.values(counts).some((count) => count > 0))
    throw new Error(`the run of ${side.name} is void: ${JSON.stringify(counts)}`);
}

/** Of a queue of BullMQ's, ours or theirs. */
export async function countsOf(queue: Queue): Promise<Counts> {
  const {
    waiting = 0,
    prioritized = 0,
    active = 0,
    delayed = 0,
    failed = 0,
  } = await queue.getJobCounts('waiting', 'prioritized', 'active', 'delayed', 'failed');
  return { waiting: waiting + prioritized, active, delayed, failed };
}

/** CPU of this process and of the server so far, in µs. */
export function cpuMicros(server: Pick<Server, 'cpuMicros'>): number {
  const own = process.cpuUsage();
  return own.user + own.system + server.cpuMicros();
}

/** Wall time and CPU of this process and of the server. */
export interface Spent {
  readonly ms: number;
  readonly cpuMicros: number;
}

export async function spent(server: Pick<Server, 'cpuMicros'>, work: () => Promise<unknown>): Promise<Spent> {
  const cpu = cpuMicros(server);
  const start = performance.now();
  await work();
  return { ms: performance.now() - start, cpuMicros: cpuMicros(server) - cpu };
}

const bulk = 500;

export async function fill(side: Pick<Side, 'addMany'>, count: number, size?: Size): Promise<void> {
  for (let from = 0; from < count; from += bulk)
    await side.addMany(payloadsOf(from, Math.min(bulk, count - from), size));
}

/** How jobs are added: loops that each await one call before the next, of so many jobs. */
export interface Adding {
  readonly callers: number;
  readonly perCall: number;
  readonly size?: Size;
}

export async function addBy(side: Side, jobs: number, { callers, perCall, size }: Adding): Promise<void> {
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < jobs) {
      const from = next;
      next += perCall;
      await (perCall === 1 ? side.add(payloadOf(from, size)) : side.addMany(payloadsOf(from, perCall, size)));
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
}

/** Starts one worker; from the first start of a handler to the `count`-th end: what a start of the worker costs is not in it. */
export async function drain(
  side: Pick<Side, 'work'>,
  count: number,
  server: Pick<Server, 'cpuMicros'>,
  handlerMs = 0,
): Promise<Spent> {
  const watch = stopwatch(count, server);
  handlerHooks.start = watch.start;
  handlerHooks.end = watch.end;
  if (handlerMs > 0) handlerHooks.work = () => wait(handlerMs);
  const worker = await side.work();
  const took = await watch.done;
  await worker.stop();
  if (handlerMs > 0) handlerHooks.work = undefined;
  return took;
}

/** Counts ends and knows when the first job started. */
function stopwatch(count: number, server: Pick<Server, 'cpuMicros'>) {
  let begun: { readonly at: number; readonly cpu: number } | undefined;
  let ends = 0;
  let finish: (spent: Spent) => void = () => undefined;
  const done = new Promise<Spent>((resolve) => {
    finish = resolve;
  });
  return {
    start: () => {
      begun ??= { at: performance.now(), cpu: cpuMicros(server) };
    },
    end: () => {
      ends += 1;
      if (ends === count && begun !== undefined)
        finish({ ms: performance.now() - begun.at, cpuMicros: cpuMicros(server) - begun.cpu });
    },
    done,
  };
}
