/**
 * Where jobs are kept: the contract every store fulfils. `conformance.ts` runs it on all of them; what a store cannot
 * do stands in its capability row, as data, and a job type that needs it fails at boot.
 */
import type { FlowProducer, JobsOptions, Processor, Queue, QueueEvents, Job as StoredJob, Worker } from 'bullmq';
import type { Sql } from '../runtime/documents-postgres.ts';
import type { TagStore, Turn } from './fairness.ts';
import type { JobScanner } from './find.ts';
import type { OpenLimiter } from './limiter.ts';

export interface Capabilities {
  /** Delays are kept to better than a second. */
  readonly exactDelays: boolean;
  /** Parents that wait for their children, over several queues. */
  readonly flows: boolean;
  /** More than one process may use the store. `machine`: of one machine only. */
  readonly manyProcesses: 'fleet' | 'machine';
  /** What an accepted job survives, in words for `doctor` and the docs. */
  readonly accepted: string;
}

export type BackendKind = 'embedded' | 'postgres' | 'redis';

export const capabilities: Readonly<Record<BackendKind, Capabilities>> = {
  embedded: {
    exactDelays: true,
    flows: true,
    manyProcesses: 'machine',
    accepted: 'row committed and flushed: survives the death of any process and of the machine, not of the disk',
  },
  postgres: {
    exactDelays: true,
    flows: true,
    manyProcesses: 'fleet',
    accepted:
      'row committed (synchronous_commit): survives crash and power loss, not a fail-over to an asynchronous replica',
  },
  redis: {
    exactDelays: true,
    flows: true,
    manyProcesses: 'fleet',
    accepted:
      'record in Redis: survives the death of a worker, and of redis-server as far as its AOF setting says; fail-over may lose it',
  },
};

/** Our own facts of a job; they travel as `opts.jobfleet` so that `data` stays the bare payload. */
export interface JobFacts {
  readonly tenant: string;
  /** Left out for `normal`. */
  readonly level?: 'high' | 'low';
  /** What the limits of its type count it by: the hash of its limit key. */
  readonly limitKey?: string;
  /** Epoch ms; a job not started by then is `EXPIRED`. */
  readonly startBy?: number;
  /** How many children a parent waits for. */
  readonly children?: number;
  /** A run of its schedule on demand. */
  readonly isScheduled?: true;
  /** Version of these facts. */
  readonly v: 1;
}

/** A job about to be stored. */
export interface NewJob {
  readonly id: string;
  /** The job type. */
  readonly name: string;
  /** The payload as JSON text, stored as it is. */
  readonly json: string;
  /** When it was accepted, epoch ms. */
  readonly timestamp: number;
  readonly options: JobsOptions;
  /** On a queue that is shared fairly: what the job takes of it. The store makes a tag of it, BullMQ's `priority`. */
  readonly turn?: Turn;
}

/** Jobs of one queue. */
export interface QueueJobs {
  readonly queue: string;
  readonly jobs: readonly NewJob[];
}

/** A job that runs after its children, and they after theirs. */
export interface NewFlow {
  readonly queue: string;
  readonly job: NewJob;
  /** What its end as a dead letter does to its parent: `fail` makes that one a dead letter too, `ignore` lets it run. */
  readonly onFailure: 'fail' | 'ignore';
  readonly children: readonly NewFlow[];
}

/** What became of a child of a flow. */
export interface FlowChild {
  readonly id: string;
  readonly queue: string;
  /** `open`: it has not ended. */
  readonly state: 'completed' | 'failed' | 'open';
  /** Of a completed one. */
  readonly result?: unknown;
  /** Of a failed one whose parent runs all the same, as stored: `CODE: message`. */
  readonly reason?: string;
}

/** What becomes of a stored job; what is left out stays. */
export interface Rewrite {
  /** As the caller read it before it saw that the job waits. */
  readonly attemptsStarted: number;
  /** The payload as JSON text. */
  readonly json?: string;
  readonly facts?: JobFacts;
}

export interface WorkerTuning {
  readonly concurrency: number;
  /** A claim holds this long unless renewed. Renewal is the caller's (`workers/leases.ts`): BullMQ's own is off. */
  readonly leaseMs: number;
  /** Wait before the next attempt in ms; −1 = no further attempt. BullMQ asks it once per failed attempt. */
  readonly backoff: (error: Error) => number;
  /** Default: the clock of this machine is right. */
  readonly clock?: ClaimClock;
}

/** What is known of this machine's clock; asked before each claim, so it must be cheap. BullMQ plans by that clock. */
export interface ClaimClock {
  /** While it is wrong nothing is claimed: delayed jobs would start early. */
  readonly isRight: () => boolean;
  /** The store's clock minus this one, ms. While it is wrong, what is put off is put off by the store's. */
  readonly offMs: () => number;
}

/** How a claim loop is doing; `/livez` reads it. */
export interface ClaimWatch {
  /** When the store last answered a claim or a wait of this queue's worker, as `performance.now()`: it does not jump. */
  readonly lastAnswerAt: () => number;
  /** The longest the loop may wait for the store in one call. */
  readonly blockMs: number;
}

export interface RecordEntry {
  readonly value: string;
  /** Another one after every write; that it grows is not said. */
  readonly version: number;
}

/** Small facts of ours beside the jobs. Time is the store's; values are JSON text of at most 16 KiB; `ttlMs` null = for ever. */
export interface RecordStore {
  /** An expired record counts as absent. Answers what is stored afterwards. */
  putIfAbsent(key: string, value: string, ttlMs: number | null): Promise<RecordEntry & { readonly stored: boolean }>;
  /** `null` deletes. False when the version is no longer that one. */
  compareAndSet(key: string, version: number, value: string | null, ttlMs: number | null): Promise<boolean>;
  /** From now on they live for `ttlMs`; their versions stay. What is absent stays so. */
  expire(keys: readonly string[], ttlMs: number): Promise<void>;
  get(keys: readonly string[]): Promise<(RecordEntry | undefined)[]>;
  /** All whose key begins so, in the order of their keys. Redis walks every key it has: for a look, never on the way of a job. */
  list(prefix: string): Promise<(RecordEntry & { readonly key: string })[]>;
  /** Counting semaphore of leases: true when `holder` is (again) one of at most `max` holders for `ttlMs`. */
  acquire(key: string, holder: string, max: number, ttlMs: number): Promise<boolean>;
  release(key: string, holder: string): Promise<void>;
}

/** A hint to every process of the fleet. Records hold the truth: a lost message costs the listeners' re-read interval, nothing else. */
export interface ControlChannel {
  send(message: ControlMessage): Promise<void>;
  /** What this process sends afterwards it hears too. Returns the way to stop listening. */
  listen(listener: (message: ControlMessage) => void): () => void;
}

/** What to read again: the cancel record of a job, the pause of a tenant, the concurrency of a queue. */
export type ControlMessage =
  | { readonly kind: 'cancel'; readonly queue: string; readonly id: string }
  | { readonly kind: 'pause'; readonly tenant: string }
  | { readonly kind: 'tune'; readonly queue: string };

export interface Backend {
  readonly kind: BackendKind;
  readonly capabilities: Capabilities;
  /** BullMQ's `Queue` over this store. The same object for the same name; closed by `close()`. */
  queue(name: string, defaults?: JobsOptions): Queue;
  /**
   * Stores one job and answers the id in use: another one than asked for is a duplicate (`deduplication`). Goes straight
   * to BullMQ's backend contract: a `Job` object and a second writing of the payload, as in `Queue.add`, would be half of the cost.
   */
  add(queue: string, job: NewJob): Promise<string>;
  /**
   * Stores all of these jobs or none of them, in one round trip, and answers as `add` for each, in order. A Redis Cluster
   * keeps its queues on different nodes: there it holds for each queue, and what is refused leaves the queues before it stored.
   */
  addMany(bulk: readonly QueueJobs[]): Promise<string[][]>;
  /**
   * BullMQ's `Worker` over this store, not yet running (`run()` starts it): stalled count out of reach, lock renewal
   * left to the caller, blocking waits capped, every error listened to.
   */
  worker(
    name: string,
    processor: Processor,
    tuning: WorkerTuning,
  ): { readonly worker: Worker; readonly watch: ClaimWatch };
  /** One `QueueEvents` per queue and process, shared by all readers. */
  events(name: string): QueueEvents;
  /**
   * Parents that wait for their children; the same object each time. A child that fails for good fails its parent unless
   * it says otherwise. Throws `BACKEND_UNSUPPORTED` where the capability `flows` is false.
   */
  flows(): FlowProducer;
  /** Stores a parent and everything below it, all or nothing. Ids that are there already are left alone. Throws as `flows`. */
  addFlow(flow: NewFlow): Promise<void>;
  /**
   * Gives a job that waits another payload or other facts. False, and nothing is changed, when it does not wait or was
   * claimed since `attemptsStarted` was read.
   */
  rewrite(queue: string, id: string, change: Rewrite): Promise<boolean>;
  /** Gives an active job back unfinished: no attempt spent, at the head of its queue. The processor then throws `WaitingError`. */
  handBack(job: StoredJob, token: string): Promise<void>;
  readonly records: RecordStore;
  /** Whose turn it is, on queues that are shared fairly. */
  readonly tags: TagStore;
  /** A rate of `points` in `windowMs` (whole seconds) for each key, over all processes. */
  readonly limiter: OpenLimiter;
  /** Share of the store's memory limit that is used, 0 to 1; undefined for a store without one. */
  fullness(): Promise<number | undefined>;
  readonly control: ControlChannel;
  /** Where the store can keep documents too; undefined where it cannot. */
  readonly sql: Sql | undefined;
  readonly failed: FailedReader;
  /** Lists of jobs, as `findJobs` reads them. */
  readonly scanner: JobScanner;
  /** What another thread needs to renew leases over a connection of its own (`openLeaseRenewer`); structured-clonable. */
  readonly leaseConnection: LeaseConnection;
  /** What this store needs swept from time to time; for the keeper. */
  readonly chores: readonly Chore[];
  /** The store's clock, epoch ms. */
  now(): Promise<number>;
  /** Throws a one-sentence error with cause and fix when the store does not answer. */
  ping(): Promise<void>;
  /** How safely the store keeps jobs here and now. Throws when it does not answer. */
  inspect(): Promise<readonly StoreFinding[]>;
  /** May be called twice. Queues, workers and events first, then connections; the embedded server last, by its last process. */
  close(): Promise<void>;
}

/** One thing that was found out about a store. */
export interface StoreFinding {
  readonly check: string;
  /** `weak`: a trade to know of. `unsafe`: accepted jobs may be lost or nothing can be stored; no process is ready on it. */
  readonly state: 'ok' | 'unsafe' | 'weak';
  /** What was seen. */
  readonly detail: string;
  /** What it may cost. */
  readonly why?: string;
  readonly fix?: string;
}

/** What is read of many dead letters at once: no payload, no stack. */
export interface FailedRow {
  readonly id: string;
  /** The job type it was added as. */
  readonly name: string;
  readonly tenant: string;
  /** As stored: `CODE: message`. */
  readonly reason: string;
  readonly attempts: number;
  /** Epoch ms. */
  readonly createdAt: number;
  readonly failedAt: number;
}

export interface FailedReader {
  /** The newest first, at most `limit`. */
  ids(queue: string, limit: number): Promise<{ readonly id: string; readonly failedAt: number }[]>;
  /** At most 1,000 ids a call; those that have left the failed state may be missing. */
  rows(queue: string, ids: readonly string[]): Promise<FailedRow[]>;
}

/** Work that one process of the fleet does for all (`keeper.ts`). */
export interface Chore {
  /** For logs. */
  readonly name: string;
  /** From the end of one run to the start of the next. */
  readonly everyMs: number;
  /** Aborted when another process took over. Throwing is reported and does not stop the next run. */
  run(signal: AbortSignal): Promise<void>;
}

export type LeaseConnection =
  | { readonly kind: 'postgres'; readonly url: string; readonly schema: string }
  | { readonly kind: 'redis'; readonly url: string };

export interface BackendOptions {
  /** Where a relative `embedded:` path starts. Default: the working directory. */
  readonly baseDir?: string;
  /** Connections beyond the pool's own ten: workers + QueueEvents of this process. Default 20. */
  readonly connections?: number;
  /**
   * Adds and completions that come together share a script call (Redis) or a statement and its commit (PostgreSQL).
   * Default true; false = BullMQ's own way, a call for each.
   */
  readonly batching?: boolean;
  readonly onError: (error: Error) => void;
  /** Called when a store of ours is on its way up and only has to be waited for. At most once; never for other stores. */
  readonly onStarting?: () => void;
}
