/**
 * The children of one job type: ready ones, starting ones, and jobs that wait for one. A job that finds none starts its own
 * at once; spares start one after another and only while nobody waits, so that they take no processor from a job. A type
 * whose first job has not come yet keeps at most one. A child that dies before its job is replaced after 0.5, 1, 2 … 30 s;
 * three deaths in a row without one ready make the type unavailable, until one is.
 */
import { tryAgainIn } from '../../jobs/errors.ts';
import type { Sandbox, SandboxLog } from './sandbox.ts';

export interface ShelfParts {
  readonly name: string;
  /** Children kept ready from the first job on. */
  readonly spares: number;
  readonly start: () => Promise<Sandbox>;
  readonly log: SandboxLog;
}

export interface Shelf {
  /** Starts the one spare of a type that has had no job yet. Resolves when it is ready, has failed, or is not wanted. */
  prepare(): Promise<void>;
  /** A ready child, now or as soon as there is one. Rejects with the signal's reason, or `later` when none becomes ready. */
  take(signal: AbortSignal): Promise<Sandbox>;
  /** A child that was taken is gone. */
  done(sandbox: Sandbox): void;
  unavailable(): string | undefined;
  /** Kills every child. Jobs that wait or run fail with `reason`. */
  close(reason: Error): Promise<void>;
}

interface Waiter {
  readonly resolve: (sandbox: Sandbox) => void;
  readonly reject: (error: unknown) => void;
}

const firstBackoffMs = 500;
const lastBackoffMs = 30_000;
const deathsAllowed = 3;

/** 0.5, 1, 2 … 30 s. */
export function backoffMs(deaths: number): number {
  return Math.min(lastBackoffMs, firstBackoffMs * 2 ** Math.max(0, deaths - 1));
}

export function createShelf(parts: ShelfParts): Shelf {
  const ready: Sandbox[] = [];
  const waiters: Waiter[] = [];
  const living = new Set<Sandbox>();
  const starts = new Set<Promise<void>>();
  let starting = 0;
  let wantedSpares = 0;
  let deaths = 0;
  let lastReason = '';
  let backoff: NodeJS.Timeout | undefined;
  let closed: Error | undefined;

  const fill = (): void => {
    if (closed !== undefined || backoff !== undefined) return;
    while (starting < waiters.length || (starting === 0 && ready.length < wantedSpares)) {
      starting += 1;
      const start = startOne().finally(() => {
        starts.delete(start);
        fill();
      });
      starts.add(start);
    }
  };
  const startOne = async (): Promise<void> => {
    let sandbox: Sandbox | undefined;
    try {
      sandbox = await parts.start();
      living.add(sandbox);
      if (closed !== undefined) return await drop(sandbox);
      await sandbox.ready;
      starting -= 1;
      deaths = 0;
      serve(sandbox);
    } catch (error) {
      starting -= 1;
      if (sandbox !== undefined) await drop(sandbox);
      fail(error instanceof Error ? error.message : String(error));
    }
  };
  const serve = (sandbox: Sandbox): void => {
    const waiter = waiters.shift();
    if (waiter !== undefined) return waiter.resolve(sandbox);
    ready.push(sandbox);
    void sandbox.gone.then((reason) => {
      const index = ready.indexOf(sandbox);
      if (index === -1) return;
      ready.splice(index, 1);
      void drop(sandbox);
      fail(reason);
    });
  };
  const drop = async (sandbox: Sandbox): Promise<void> => {
    try {
      await sandbox.discard(closed ?? new Error('The child is not needed any more.'));
    } catch (error) {
      parts.log.error({ err: error, type: parts.name }, 'A child could not be removed; the next start tries again');
    } finally {
      living.delete(sandbox);
    }
  };
  const fail = (reason: string): void => {
    if (closed !== undefined) return;
    deaths += 1;
    lastReason = reason;
    const waitMs = backoffMs(deaths);
    parts.log.warn({ type: parts.name, deaths, waitMs, reason }, 'A child died before its job');
    if (deaths >= deathsAllowed) {
      for (const waiter of waiters.splice(0)) waiter.reject(refusal(waitMs));
    }
    backoff ??= setTimeout(() => {
      backoff = undefined;
      fill();
    }, waitMs);
  };
  // `later`: no attempt is spent, because the job has not run.
  const refusal = (waitMs: number): Error =>
    tryAgainIn(waitMs, 'SANDBOX_CRASH', `No child for "${parts.name}" becomes ready: ${lastReason}`);

  return {
    async prepare() {
      wantedSpares = Math.max(wantedSpares, Math.min(1, parts.spares));
      fill();
      await Promise.all(starts);
    },
    async take(signal) {
      if (closed !== undefined) throw closed;
      if (signal.aborted) throw signal.reason;
      wantedSpares = parts.spares;
      const sandbox = ready.shift();
      if (sandbox !== undefined) {
        fill();
        return sandbox;
      }
      if (deaths >= deathsAllowed) throw refusal(backoffMs(deaths));
      return waitFor(signal, waiters, fill);
    },
    done(sandbox) {
      living.delete(sandbox);
      fill();
    },
    unavailable: () =>
      deaths >= deathsAllowed ? `No child becomes ready (${deaths} deaths in a row). ${lastReason}` : undefined,
    async close(reason) {
      closed = reason;
      clearTimeout(backoff);
      for (const waiter of waiters.splice(0)) waiter.reject(reason);
      await Promise.all([...living].map(drop));
      // A start that had no process yet finds the shelf closed and cleans up after itself.
      await Promise.all(starts);
    },
  };
}

/** Waits in line, and leaves it when the signal aborts. */
function waitFor(signal: AbortSignal, waiters: Waiter[], fill: () => void): Promise<Sandbox> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      const index = waiters.indexOf(waiter);
      if (index !== -1) waiters.splice(index, 1);
      reject(signal.reason);
    };
    const settle = <T>(then: (value: T) => void): ((value: T) => void) => {
      return (value) => {
        signal.removeEventListener('abort', leave);
        then(value);
      };
    };
    const waiter: Waiter = { resolve: settle(resolve), reject: settle(reject) };
    waiters.push(waiter);
    signal.addEventListener('abort', leave, { once: true });
    fill();
  });
}
