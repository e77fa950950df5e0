/** What `jobfleet worker` and the supervisor of several of them understand the same way. */

export interface WorkerFlags {
  readonly queues?: string;
  readonly concurrency?: string;
}

/** The environment with the flags over it. */
export function workerValues(flags: WorkerFlags): NodeJS.ProcessEnv {
  return {
    ...process.env,
    ...(flags.queues === undefined ? {} : { QUEUES: flags.queues }),
    ...(flags.concurrency === undefined ? {} : { CONCURRENCY: flags.concurrency }),
  };
}

/** For draining; the deadline of the handlers is in it. */
export function drainMs(shutdownMs: number): number {
  return shutdownMs + 2_000;
}

export const closeServerMs = 2_000;
export const closeStoresMs = 20_000;

/** The longest that a worker's way out may take. */
export function workerStopMs(shutdownMs: number): number {
  return drainMs(shutdownMs) + closeServerMs + closeStoresMs;
}
