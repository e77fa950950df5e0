/**
 * Tells how jobs of a store go on: one event reader per queue and process, one look at the store per change of a job,
 * however many watch it. An event says only that something happened; what is told is what stands in the store then.
 */
import type { QueueEvents } from 'bullmq';
import type { Backend } from '../backends/backend.ts';
import type { ObjectStore } from '../runtime/object-store.ts';
import { type JobStatus, readStatus } from './job-status.ts';

/** `undefined`: the job is gone, and no record answers for it. */
export type OnStatus = (status: JobStatus | undefined) => void;

export interface JobWatch {
  /** By the stored id. Told at once and after every change, at least every 5 s. Answers the way to stop. */
  watch(queue: string, id: string, onStatus: OnStatus, onError: (error: unknown) => void): () => void;
  /** Jobs that are watched now. */
  readonly size: () => number;
  close(): void;
}

/** What BullMQ tells of a job; each names it. */
const told = [
  'active',
  'added',
  'completed',
  'delayed',
  'failed',
  'progress',
  'removed',
  'stalled',
  'waiting',
] as const;
const moreTold = ['retries-exhausted', 'waiting-children'] as const;

interface Watched {
  readonly listeners: Map<OnStatus, (error: unknown) => void>;
  look(): void;
}

interface WatchedQueue {
  readonly jobs: Map<string, Watched>;
  readonly ready: Promise<unknown>;
  stop(): void;
}

/** An event may be lost (PostgreSQL numbers events before they are committed, a reader may pass one): that costs `lookEveryMs`. */
export function createJobWatch(backend: Backend, objects?: ObjectStore, lookEveryMs = 5_000): JobWatch {
  const queues = new Map<string, WatchedQueue>();
  const open = (name: string): WatchedQueue => {
    const jobs = new Map<string, Watched>();
    const reader = backend.events(name);
    const onEvent = ({ jobId }: { readonly jobId: string }): void => jobs.get(jobId)?.look();
    listen(reader, onEvent, 'on');
    const queue = { jobs, ready: reader.waitUntilReady(), stop: () => listen(reader, onEvent, 'off') };
    // Who waits for it hears of it; without events every job is looked at all the same.
    queue.ready.catch(() => undefined);
    queues.set(name, queue);
    return queue;
  };
  // PostgreSQL has no event for a job that is removed.
  const unlisten = backend.control.listen((message) => {
    if (message.kind === 'cancel') queues.get(message.queue)?.jobs.get(message.id)?.look();
  });
  const timer = setInterval(() => {
    for (const { jobs } of queues.values()) for (const job of jobs.values()) job.look();
  }, lookEveryMs).unref();
  return {
    watch(name, id, onStatus, onError) {
      const queue = queues.get(name) ?? open(name);
      const known = queue.jobs.get(id);
      const job = known ?? watched(() => readStatus(backend, name, id, objects));
      if (known === undefined) queue.jobs.set(id, job);
      job.listeners.set(onStatus, onError);
      // Before the reader hears, a change could fall between the look and the first event.
      queue.ready.then(() => job.look(), onError);
      return () => {
        job.listeners.delete(onStatus);
        if (job.listeners.size > 0 || queue.jobs.get(id) !== job) return;
        queue.jobs.delete(id);
        if (queue.jobs.size > 0) return;
        queue.stop();
        queues.delete(name);
      };
    },
    size: () => [...queues.values()].reduce((sum, { jobs }) => sum + jobs.size, 0),
    close() {
      clearInterval(timer);
      unlisten();
      for (const queue of queues.values()) queue.stop();
      queues.clear();
    },
  };
}

function listen(reader: QueueEvents, onEvent: (event: { readonly jobId: string }) => void, how: 'off' | 'on'): void {
  for (const name of [...told, ...moreTold]) reader[how](name, onEvent);
}

/** Looks once for all that happens while a look is under way. */
function watched(read: () => Promise<JobStatus | undefined>): Watched {
  const listeners: Watched['listeners'] = new Map();
  let isLooking = false;
  let isWanted = false;
  const lookAll = async (): Promise<void> => {
    try {
      while (isWanted && listeners.size > 0) {
        isWanted = false;
        const status = await read();
        for (const onStatus of listeners.keys()) onStatus(status);
      }
    } catch (error) {
      for (const onError of listeners.values()) onError(error);
    } finally {
      isLooking = false;
    }
  };
  return {
    listeners,
    look() {
      isWanted = true;
      if (isLooking) return;
      isLooking = true;
      void lookAll();
    },
  };
}
