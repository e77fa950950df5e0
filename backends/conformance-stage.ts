/** What the conformance tests stand on: one store opened twice, fresh queues, workers that end with their test. */
import { randomBytes } from 'node:crypto';
import type { Job as StoredJob } from 'bullmq';
import { vi } from 'vitest';
import type { Backend, WorkerTuning } from './backend.ts';
import { openBackend } from './open.ts';

/** Two openings of one store: what a second process of the fleet would see. */
export interface Stage {
  readonly first: Backend;
  readonly second: Backend;
  /** Everything the store complained about. */
  readonly errors: Error[];
  /** A fresh queue name. */
  queueName(): string;
  /** A running worker, closed after the test. Default: one job at a time, 30 s leases, retries after 1 ms. */
  work(
    backend: Backend,
    queue: string,
    processor: (job: StoredJob, token: string) => Promise<unknown>,
    tuning?: Partial<WorkerTuning>,
  ): ReturnType<Backend['worker']>;
}

/** One test: registered under its title, or as a skip with the store's reason. */
export type Register = (title: string, run: () => Promise<void>, timeoutMs?: number) => void;

/** Polls every 20 ms, up to 15 s unless told: for what another process does, where there is no event to wait for. */
export function until<T>(check: () => T | Promise<T>, timeoutMs = 15_000): Promise<T> {
  return vi.waitFor(check, { timeout: timeoutMs, interval: 20 });
}

/** A promise with its ends outside. */
export function gate<T = void>(): { readonly opened: Promise<T>; readonly open: (value: T) => void } {
  let open: (value: T) => void = () => undefined;
  const opened = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { opened, open: (value) => open(value) };
}

export function createStage(open: (onError: (error: Error) => void) => Promise<Backend>) {
  const errors: Error[] = [];
  const onError = (error: Error) => void errors.push(error);
  const backends: Backend[] = [];
  const queues = new Set<string>();
  const workers: ReturnType<Backend['worker']>[] = [];
  const at = (index: number): Backend => {
    const backend = backends[index];
    if (backend === undefined) throw new Error('the store is not open yet');
    return backend;
  };
  const stage: Stage = {
    get first() {
      return at(0);
    },
    get second() {
      return at(1);
    },
    errors,
    queueName() {
      const name = `test-${randomBytes(6).toString('hex')}`;
      queues.add(name);
      return name;
    },
    work(backend, queue, processor, tuning = {}) {
      const made = backend.worker(queue, (job, token) => processor(job, token ?? ''), {
        concurrency: 1,
        leaseMs: 30_000,
        backoff: () => 1,
        ...tuning,
      });
      workers.push(made);
      made.worker.run().catch(onError);
      return made;
    },
  };
  return {
    stage,
    start: async () => {
      const first = await open(onError);
      backends.push(first, await openBackend(first.leaseConnection.url, { onError }));
    },
    cleanUp: async () => {
      await Promise.all(workers.splice(0).map(({ worker }) => worker.close()));
      for (const name of queues) await at(0).queue(name).obliterate({ force: true });
      queues.clear();
    },
    stop: async () => {
      for (const backend of backends.toReversed()) await backend.close();
    },
  };
}
