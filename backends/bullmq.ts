/**
 * What every BullMQ store shares: its queues, workers and event readers, how they are set up, and the order in which
 * they close. The store brings a factory for `IQueueBackend` instances; BullMQ's classes run on top unchanged.
 */
import {
  type BackendFactory,
  type IQueueBackend,
  Job,
  type JobJson,
  type JobProgress,
  type JobsOptions,
  Queue,
  type QueueBaseOptions,
  QueueEvents,
  type RedisQueueBackend,
  Worker,
  type WorkerOptions,
} from 'bullmq';
import type { Backend, NewJob, WorkerTuning } from './backend.ts';
import type { JobInTurn } from './fairness.ts';
import { flowJobOf, StoreFlows } from './flows.ts';
import { tickAfter } from './ticks.ts';
import { blockMs, metricPoints, obeyClock, waitWhenRefused, watchClaims } from './watched.ts';

/** What BullMQ's classes hand down to their store; those of `WorkerOptions` are a worker's. */
export type StoreSettings = QueueBaseOptions &
  Partial<
    Pick<WorkerOptions, 'concurrency' | 'lockDuration' | 'maxStalledCount' | 'metrics' | 'name' | 'stalledInterval'>
  >;

/** One `IQueueBackend` per BullMQ object. `blocking`: an event reader; `withBlockingConnection`: a worker. */
export type StoreFactory = (
  name: string,
  options: StoreSettings,
  wants: { readonly blocking?: boolean; readonly withBlockingConnection?: boolean },
) => IQueueBackend;

export interface StoreParts {
  readonly factory: StoreFactory;
  /** What becomes of completed jobs when nobody says otherwise. Failed ones always stay: they are the dead letters. */
  readonly removeOnComplete: Exclude<JobsOptions['removeOnComplete'], undefined>;
  readonly onError: (error: Error) => void;
}

/** What the pipeline gets for a stored payload that is not JSON; it ends such a job as `MALFORMED`. */
const malformed = Object.freeze({ $malformed: true });

/**
 * A job as stored, however broken. BullMQ's own reader throws on a payload that is not JSON: inside a claim that leaves
 * the job claimed for ever, inside a list it hides the whole page. And a dead letter leaves only by redrive, discard or
 * age, whatever options a foreign producer gave the job.
 */
class ReadableJob<D = unknown, V = unknown, M extends string = string, P extends JobProgress = JobProgress> extends Job<
  D,
  V,
  M,
  P
> {
  static override fromJSON<T = unknown, R = unknown, N extends string = string>(
    queue: Parameters<typeof Job.fromJSON>[0],
    json: JobJson,
    jobId?: string,
  ): Job<T, R, N> {
    const job = readable<T, R, N>(
      () => super.fromJSON<T, R, N>(queue, json, jobId),
      () => super.fromJSON<T, R, N>(queue, { ...json, data: JSON.stringify(malformed) }, jobId),
    );
    job.opts.removeOnFail = false;
    return job;
  }
}

function readable<T, R, N extends string>(read: () => Job<T, R, N>, replace: () => Job<T, R, N>): Job<T, R, N> {
  try {
    return read();
  } catch (error) {
    if (error instanceof SyntaxError) return replace();
    throw error;
  }
}

class StoreQueue extends Queue {
  protected override get Job(): typeof Job {
    return ReadableJob;
  }
}

class StoreWorker extends Worker {
  protected override get Job(): typeof Job {
    return ReadableJob;
  }
}

/** Events kept for readers that fell behind. */
const streams = { events: { maxLen: 1_000 } };

type Classes = Pick<Backend, 'add' | 'addFlow' | 'addMany' | 'queue' | 'worker' | 'events' | 'flows' | 'close'>;

const merged = new WeakMap<JobsOptions, { readonly defaults: JobsOptions | undefined; readonly opts: JobsOptions }>();

/** Most jobs of a type come with one and the same options object: it is merged once, and known again where it is written. */
function mergedOptions(queue: Queue, options: JobsOptions): JobsOptions {
  const known = merged.get(options);
  if (known !== undefined && known.defaults === queue.jobsOpts) return known.opts;
  const opts = { ...queue.jobsOpts, ...options };
  if (Object.isFrozen(options)) merged.set(options, { defaults: queue.jobsOpts, opts });
  return opts;
}

/** What `Job.asJSON` would make of a fresh job, without the job. */
function freshJob(queue: Queue, { id, name, json, timestamp, options, turn }: NewJob): JobInTurn {
  const opts = mergedOptions(queue, options);
  return {
    id,
    name,
    data: json,
    opts,
    progress: 0,
    attemptsMade: 0,
    attemptsStarted: 0,
    stalledCounter: 0,
    timestamp,
    failedReason: 'null',
    stacktrace: 'null',
    returnvalue: 'null',
    ...(opts.deduplication === undefined ? {} : { deduplicationId: opts.deduplication.id }),
    ...(turn === undefined ? {} : { turn }),
  };
}

/** A job as an entry of a flow that it has to itself. */
export const flowEntry = (jobData: JobJson, jobId: string) => ({ jobData, jobId, parentKeyOpts: {} });

/** The ids that `addFlow` answers; throws the first error among them. */
export function idsOf(answers: Awaited<ReturnType<IQueueBackend['addFlow']>>): string[] {
  return answers.map(([error, id]) => {
    if (error !== null) throw error;
    return String(id);
  });
}

/** `close()` ends workers (waiting for their active jobs), event readers, then queues; the store's connections come after. */
export function createClasses({ factory, removeOnComplete, onError }: StoreParts): Classes {
  // BullMQ's public types name the Redis instance as the default one; no caller of ours reaches through to it.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const factoryAsDefault = factory as BackendFactory<RedisQueueBackend>;
  const queues = new Map<string, Queue>();
  const readers = new Map<string, QueueEvents>();
  const workers = new Set<Worker>();
  let flows: StoreFlows | undefined;
  const connection = {};
  const queueOf: Classes['queue'] = (name, defaults) => {
    const known = queues.get(name);
    if (known !== undefined) {
      if (defaults !== undefined) known.jobsOpts = { ...known.jobsOpts, ...defaults, removeOnFail: false };
      return known;
    }
    const defaultJobOptions = { removeOnComplete, ...defaults, removeOnFail: false };
    const settings = { repeatStrategy: tickAfter };
    const queue = new StoreQueue(name, { connection, defaultJobOptions, settings, streams }, factoryAsDefault);
    queue.on('error', onError);
    queues.set(name, queue);
    return queue;
  };
  const flowsOf: Classes['flows'] = () => {
    if (flows !== undefined) return flows;
    // A flow names its queues itself, and BullMQ says nothing of what it wants.
    const forFlows: StoreFactory = (name, settings) => factory(name, settings, {});
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    flows = new StoreFlows({ connection }, forFlows as typeof factoryAsDefault);
    flows.removeOnComplete = removeOnComplete;
    flows.on('error', onError);
    return flows;
  };
  return {
    queue: queueOf,
    async addFlow(flow) {
      await flowsOf().add(flowJobOf(flow));
    },
    add: (name, job) => {
      const queue = queueOf(name);
      return queue.getBackend().addJob(freshJob(queue, job), job.id);
    },
    async addMany(bulk) {
      const [first, ...others] = bulk;
      if (first === undefined) return [];
      const backend = queueOf(first.queue).getBackend();
      if (others.length === 0) {
        const queue = queueOf(first.queue);
        return [await backend.addJobs(first.jobs.map((job) => ({ job: freshJob(queue, job), jobId: job.id })))];
      }
      // BullMQ's own way over several queues in one transaction; that these jobs are nobody's parents makes no difference.
      const entries = bulk.flatMap(({ queue: name, jobs }) => {
        const queue = queueOf(name);
        const { prefix = 'bull' } = queue.opts;
        return jobs.map((job) => ({ ...flowEntry(freshJob(queue, job), job.id), prefix, queueName: name }));
      });
      const ids = idsOf(await backend.addFlow(entries));
      return bulk.map(({ jobs }) => ids.splice(0, jobs.length));
    },
    worker(name, processor, tuning) {
      const worker = new StoreWorker(name, processor, { connection, ...workerOptions(tuning) }, factoryAsDefault);
      worker.on('error', onError);
      worker.on('closed', () => workers.delete(worker));
      workers.add(worker);
      waitWhenRefused(worker.getBackend());
      if (tuning.clock !== undefined) obeyClock(worker.getBackend(), tuning.clock);
      return { worker, watch: watchClaims(worker.getBackend()) };
    },
    events(name) {
      const known = readers.get(name);
      if (known !== undefined) return known;
      const reader = new QueueEvents(name, { connection }, factoryAsDefault);
      reader.on('error', onError);
      reader.setMaxListeners(0);
      readers.set(name, reader);
      return reader;
    },
    flows: flowsOf,
    async close() {
      await flows?.close();
      await Promise.all(Array.from(workers, (worker) => worker.close()));
      await Promise.all(Array.from(readers.values(), (reader) => reader.close()));
      await Promise.all(Array.from(queues.values(), (queue) => queue.close()));
    },
  };
}

function workerOptions(tuning: WorkerTuning) {
  return {
    autorun: false,
    concurrency: tuning.concurrency,
    drainDelay: blockMs / 1_000,
    lockDuration: tuning.leaseMs,
    // Interruptions are counted by us and never kill a job.
    maxStalledCount: 1_000_000,
    metrics: { maxDataPoints: metricPoints },
    runRetryDelay: 1_000,
    settings: {
      repeatStrategy: tickAfter,
      backoffStrategy: (_attempt: number, _type?: string, error?: Error) =>
        tuning.backoff(error ?? new Error('unknown')),
    },
    skipLockRenewal: true,
    stalledInterval: Math.round(tuning.leaseMs / 2),
  };
}
