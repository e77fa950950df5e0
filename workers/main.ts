/**
 * The workers of one process: which job types it runs, their claim loops, leases and children, and the way out. Nothing
 * is kept here that another process cannot take over.
 */
import type { Backend } from '../backends/backend.ts';
import type { Enqueued, EnqueueOptions, Input, Job } from '../jobs/define.ts';
import type { Registry } from '../jobs/registry.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { ObjectStore } from '../runtime/object-store.ts';
import { type Availability, announce, findAvailable, type ServedType } from './availability.ts';
import { watchCancels } from './cancels.ts';
import type { Claim } from './claim.ts';
import { watchClock } from './clock.ts';
import type { WorkersEnv } from './env.ts';
import { type Leases, openLeases } from './leases.ts';
import { createLoops, type Loops } from './loops.ts';
import { recheckUnavailable } from './recheck.ts';
import type { Loop } from './revive.ts';
import { type OpenTypes, openTypes } from './types.ts';
import { type Held, openQueueWorker } from './worker.ts';

export interface FleetOptions {
  readonly registry: Registry;
  readonly backend: Backend;
  /** What `ctx.enqueue` calls, and a schedule that replaces its older run. */
  readonly client: {
    cancel(id: string): Promise<unknown>;
    enqueue(job: Job, payload: Input<Job>, options: EnqueueOptions): Promise<Enqueued>;
  };
  readonly objects: ObjectStore;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly env: WorkersEnv;
  /** Where the variables of handlers are found; `process.env` in a composition root. */
  readonly handlerEnv: Readonly<Record<string, string | undefined>>;
  /** Job types or aliases to run; overrides `QUEUES`. */
  readonly queues?: readonly string[];
  /** How often types that cannot run here are looked at again. Default 60,000. */
  readonly recheckMs?: number;
}

export interface Fleet {
  /** Job types this process runs. */
  readonly serves: readonly string[];
  /** Job types it was asked to run and cannot: name → why, and what to do. */
  readonly unavailable: ReadonlyMap<string, string>;
  /** Why this process should be restarted; undefined when its claim loops get answers. */
  live(): string | undefined;
  /**
   * Resolves with the reason when a claim loop stopped asking, was rebuilt, and stopped asking again within ten minutes:
   * drain and exit, so that the process is started anew. Usually never.
   */
  readonly stuck: Promise<string>;
  /** Why it claims nothing now; undefined when it does. */
  ready(): string | undefined;
  /** Attempts running now. */
  active(): number;
  /** Not ready > stop claiming > wait > at 80 % of `deadlineMs` abort what runs > hand it back > close. Call once. */
  stop(deadlineMs: number): Promise<{ readonly handedBack: number }>;
}

const announceEveryMs = 20_000;
/** Claims of one queue that may be held beside the running ones while they change hands. */
const spareSlots = 4;
const abortAtShare = 0.8;

/** What the parts of one fleet share. */
interface FleetState {
  readonly held: Set<Held>;
  readonly leaseMs: number;
  readonly concurrencyOf: (job: Job) => number;
  /** The loops are there and may be told to claim. */
  isStarted: boolean;
  isStopping: boolean;
  /** Ids: the last claim of a paused loop may be a job that was handed back before. */
  readonly handedBack: Set<string>;
}

/**
 * Claims as soon as it resolves. A job type that cannot run here is left out, with its reason; the others run. Rejects
 * for unknown names, and when the store or the lease thread does not answer.
 */
export async function startWorkers(options: FleetOptions): Promise<Fleet> {
  const { backend, env, log } = options;
  const available = await findAvailable(options.registry, options.queues ?? env.QUEUES, options.handlerEnv);
  for (const [job, reason] of available.unavailable) log.warn({ job, reason }, 'job type unavailable here');
  const state: FleetState = {
    held: new Set(),
    leaseMs: env.LEASE_MS ?? (backend.kind === 'embedded' ? 5_000 : 30_000),
    concurrencyOf: (job) => env.CONCURRENCY ?? job.policy.concurrency,
    isStarted: false,
    isStopping: false,
    handedBack: new Set(),
  };
  let sayStuck: (reason: string) => void = () => undefined;
  const stuck = new Promise<string>((resolve) => {
    sayStuck = resolve;
  });
  const loops = createLoops({
    held: state.held,
    ping: () => backend.ping(),
    onError: (queue, error) => log.error({ queue, err: error }, 'a claim loop failed'),
    onRebuilt: (reason) => log.error({ reason }, 'claim loop rebuilt'),
    onStuck: (reason) => {
      log.fatal({ reason }, 'a rebuilt claim loop stopped asking again; this process has to be started anew');
      sayStuck(reason);
    },
  });
  const guards = await openGuards(options, available, state, loops);
  const types = await openTypes(options, available.served).catch(async (error: unknown) => {
    await guards.close();
    throw error;
  });
  for (const served of available.served) loops.add(openLoop(options, state, guards, types, served));
  options.metrics.watch({ workers: () => loops.samples() });
  state.isStarted = true;
  loops.setClaiming(guards.problem() === undefined);
  const late: OpenTypes[] = [];
  const rechecking = recheckUnavailable({
    registry: options.registry,
    values: options.handlerEnv,
    available,
    onFound: async (served) => {
      const opened = await openTypes(options, [served]);
      late.push(opened);
      loops.add(openLoop(options, state, guards, opened, served));
      log.info({ job: served.job.name }, 'job type available now');
    },
    onError: (job, error) =>
      log.warn({ job: job.name, err: error }, 'job type not opened; looked at again in a minute'),
    ...(options.recheckMs === undefined ? {} : { everyMs: options.recheckMs }),
  });
  return {
    get serves() {
      return available.served.map(({ job }) => job.name);
    },
    stuck,
    unavailable: available.unavailable,
    live: () => loops.silent(),
    ready: () => (state.isStopping ? 'This worker is shutting down.' : (guards.problem() ?? nothingToRun(available))),
    active: () => state.held.size,
    async stop(deadlineMs) {
      const startedAt = Date.now();
      state.isStopping = true;
      await rechecking.stop();
      await loops.drain(startedAt + deadlineMs * abortAtShare, startedAt + deadlineMs);
      await loops.close(startedAt + deadlineMs - Date.now());
      for (const opened of [types, ...late]) await opened.close();
      await guards.close();
      const handedBack = state.handedBack.size;
      log.info({ handedBack, durationMs: Date.now() - startedAt }, 'workers stopped');
      return { handedBack };
    },
  };
}

/** One type's claim loop, not claiming yet. */
function openLoop(
  options: FleetOptions,
  state: FleetState,
  guards: Guards,
  types: OpenTypes,
  served: ServedType,
): Loop {
  const concurrency = state.concurrencyOf(served.job);
  const parts = {
    job: served.job,
    backend: options.backend,
    concurrency,
    leaseMs: state.leaseMs,
    leases: guards.leases,
    held: state.held,
    onHandedBack: ({ id }: Claim) => state.handedBack.add(id),
    ...types.partsOf(served),
  };
  const open: Loop['open'] = (isRetired) =>
    openQueueWorker({ ...parts, isStopping: () => state.isStopping || isRetired() });
  return { name: served.job.name, concurrency, open };
}

interface Guards {
  readonly leases: Leases;
  /** Why nothing may be claimed now. */
  problem(): string | undefined;
  close(): Promise<void>;
}

/** Leases, clock, cancels and the word on the store about what runs here. They pause and resume the claim loops. */
async function openGuards(
  { backend, log, registry }: FleetOptions,
  available: Availability,
  state: FleetState,
  loops: Loops,
): Promise<Guards> {
  const problems: { lease?: string | undefined; clock?: string | undefined } = {};
  const problem = (): string | undefined => problems.lease ?? problems.clock;
  const note = (kind: 'clock' | 'lease') => (next: string | undefined) => {
    if (next !== undefined) log.error({ reason: next }, 'not claiming');
    problems[kind] = next;
    if (state.isStarted) loops.setClaiming(problem() === undefined);
  };
  // Types that cannot run yet, too: they may later.
  const late = [...available.unavailable.keys()]
    .map((name) => registry.jobs.get(name))
    .filter((job) => job !== undefined);
  const wanted = [...available.served.map(({ job }) => job), ...late];
  const leases = await openLeases({
    connection: backend.leaseConnection,
    leaseMs: state.leaseMs,
    queues: wanted.map((job) => job.name),
    slots: wanted.reduce((sum, job) => sum + state.concurrencyOf(job) + spareSlots, 0),
    onLost: ({ queue, id, token }) => {
      for (const { running, token: own, graceMs } of state.held)
        if (own === token && running.claim.id === id && running.claim.queue === queue)
          running.abort('LEASE_LOST', graceMs);
    },
    onChange: note('lease'),
  });
  const clock = await watchClock(() => backend.now(), note('clock'));
  const stopCancels = watchCancels(
    backend,
    () => [...state.held],
    (error) => log.warn({ err: error }, 'the cancel records were not read'),
  );
  const say = (): Promise<void> =>
    announce(backend.records, available).catch((error: unknown) => log.warn({ err: error }, 'job types not announced'));
  await say();
  const saying = setInterval(() => void say(), announceEveryMs);
  return {
    leases,
    problem,
    async close() {
      clearInterval(saying);
      clock.stop();
      await stopCancels();
      await leases.close();
    },
  };
}

function nothingToRun({ served, unavailable }: Availability): string | undefined {
  if (served.length > 0) return undefined;
  const reasons = [...unavailable].map(([name, reason]) => `${name}: ${reason}`);
  return `None of the job types can run here. ${reasons.join(' ')}`.trim();
}
