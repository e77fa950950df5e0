/**
 * The workers of one process: which job types it runs, their claim loops, leases and children, and the way out. Nothing
 * is kept here that another process cannot take over.
 */
import { randomBytes } from 'node:crypto';
import type { Backend } from '../backends/backend.ts';
import type { Enqueued, EnqueueOptions, Input, Job } from '../jobs/define.ts';
import type { Registry } from '../jobs/registry.ts';
import type { Documents } from '../runtime/documents.ts';
import type { Log } from '../runtime/log.ts';
import type { CircuitSample, Metrics } from '../runtime/metrics.ts';
import type { ObjectStore } from '../runtime/object-store.ts';
import type { SecretBox } from '../runtime/secret-box.ts';
import type { Ended } from './attempt.ts';
import { type Availability, findAvailable, type Provided, type ServedType } from './availability.ts';
import { type Breakers, createBreakers } from './breaker.ts';
import type { Claim } from './claim.ts';
import type { WorkersEnv } from './env.ts';
import { type FleetState, type Guards, openGuards } from './guards.ts';
import { createLoops } from './loops.ts';
import { applyQueueLimits } from './queue-limits.ts';
import { recheckUnavailable } from './recheck.ts';
import { type Heartbeat, startHeartbeat } from './registry.ts';
import { countEnds } from './report.ts';
import type { Loop } from './revive.ts';
import { documentsMissing } from './services/documents.ts';
import { type OpenTypes, openTypes } from './types.ts';
import { openQueueWorker } from './worker.ts';

export interface FleetOptions {
  readonly registry: Registry;
  readonly backend: Backend;
  /** What `ctx.enqueue` calls, and a schedule that replaces its older run. */
  readonly client: {
    cancel(id: string): Promise<unknown>;
    enqueue(job: Job, payload: Input<Job>, options: EnqueueOptions): Promise<Enqueued>;
  };
  readonly objects: ObjectStore;
  /** Undefined: nothing keeps documents, and types that need them cannot run here. */
  readonly documents?: Documents | undefined;
  /** Signs the links that mails carry, by the key of an object; undefined: only those the store itself signs. */
  readonly linkTo?: ((key: string, ttlMs: number) => string) | undefined;
  /** Opens the secret fields of payloads; without it types that have any are unavailable. */
  readonly secrets?: SecretBox | undefined;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly env: WorkersEnv;
  /** Where the variables of handlers are found; `process.env` in a composition root. */
  readonly handlerEnv: Readonly<Record<string, string | undefined>>;
  /** Job types or aliases to run; overrides `QUEUES`. */
  readonly queues?: readonly string[];
  /** This release, for the list of workers. Default `0.0.0`. */
  readonly version?: string;
  /** Whether a child of each type that runs in one waits for the type's first job. Default true; false starts it with that job. */
  readonly readyChildren?: boolean;
  /** How often types that cannot run here, and the programs of the others, are looked at again. Default 60,000. */
  readonly recheckMs?: number;
  /** How long past its longest wait a claim loop may be without an answer. Default 15,000. */
  readonly silenceMs?: number;
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

const abortAtShare = 0.8;

/**
 * Claims as soon as it resolves. A job type that cannot run here is left out, with its reason; the others run. Rejects
 * for unknown names, and when the store or the lease thread does not answer.
 */
export async function startWorkers(options: FleetOptions): Promise<Fleet> {
  const { backend, env, log } = options;
  const has: Provided = {
    capabilities: backend.capabilities,
    documents: async () => (options.documents === undefined ? documentsMissing : options.documents.problem()),
    key: options.secrets !== undefined,
  };
  const available = await findAvailable(options.registry, options.queues ?? env.QUEUES, options.handlerEnv, has);
  for (const [job, reason] of available.unavailable) log.warn({ job, reason }, 'job type unavailable here');
  for (const { job, handler, env: values } of available.served) {
    const lacking = Object.values(handler.gaps(values));
    if (lacking.length > 0) log.info({ job: job.name, lacking }, 'parts of a job type are off here');
  }
  const state: FleetState = {
    held: new Set(),
    leaseMs: env.LEASE_MS ?? (backend.kind === 'embedded' ? 5_000 : 30_000),
    concurrencyOf: (job) => state.tunings.of(job.name) ?? env.CONCURRENCY ?? job.policy.concurrency,
    isStarted: false,
    isStopping: false,
    handedBack: new Set(),
    tunings: { of: () => undefined },
    changed: () => undefined,
  };
  let sayStuck: (reason: string) => void = () => undefined;
  const stuck = new Promise<string>((resolve) => {
    sayStuck = resolve;
  });
  const loops = createLoops({
    held: state.held,
    ...(options.silenceMs === undefined ? {} : { silenceMs: options.silenceMs }),
    ping: () => backend.ping(),
    onError: (queue, error) => log.error({ queue, err: error }, 'a claim loop failed'),
    onRebuilt: (reason) => log.error({ reason }, 'claim loop rebuilt'),
    onStuck: (reason) => {
      log.fatal({ reason }, 'a rebuilt claim loop stopped asking again; this process has to be started anew');
      sayStuck(reason);
    },
  });
  const guards = await openGuards(options, available, has, state, loops);
  const served = available.served.map(({ job }) => job);
  const breakers = openBreakers(log, state);
  const opening = applyQueueLimits(backend, served).then(() => openTypes(options, available.served, breakers));
  const types = await opening.catch(async (error: unknown) => {
    await guards.close();
    throw error;
  });
  options.metrics.watch({ workers: () => loops.samples(), circuits: () => breakers.samples().filter(isLabelled) });
  const { clock, problem } = guards;
  const heartbeat = startHeartbeat({
    records: backend.records,
    instance: randomBytes(9).toString('base64url'),
    version: options.version ?? '0.0.0',
    samples: () => loops.samples(),
    circuits: () => breakers.samples(),
    problem: () => (state.isStopping ? 'shutting down' : (problem() ?? nothingToRun(available))),
    clockOffMs: () => (clock.isKnown() ? clock.offMs() : undefined),
    onForgotten: () => {
      options.metrics.storeLosses.inc();
      log.error(
        'the store has lost what it was told (FLUSHALL, eviction, or a fail-over to a server without it); accepted jobs may be gone',
      );
    },
    onError: (error) => log.warn({ err: error }, 'the record of this worker was not written'),
  });
  state.changed = heartbeat.beat;
  const add = (opened: OpenTypes, served: ServedType): void =>
    loops.add(openLoop(options, state, guards, heartbeat, opened.partsOf(served), served));
  for (const one of available.served) add(types, one);
  state.isStarted = true;
  loops.setClaiming(guards.problem() === undefined);
  heartbeat.beat();
  const late: OpenTypes[] = [];
  const rechecking = recheckUnavailable({
    registry: options.registry,
    values: options.handlerEnv,
    has,
    available,
    onFound: async (served) => {
      await applyQueueLimits(backend, [served.job]);
      const opened = await openTypes(options, [served], breakers);
      late.push(opened);
      add(opened, served);
      log.info({ job: served.job.name }, 'job type available now');
    },
    onLost: ({ job }, reason) => {
      loops.remove(job.name);
      heartbeat.beat();
      log.error({ job: job.name, reason }, 'job type no longer available here; what is queued waits');
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
      await heartbeat.stop();
      await guards.close();
      const handedBack = state.handedBack.size;
      log.info({ handedBack, durationMs: Date.now() - startedAt }, 'workers stopped');
      return { handedBack };
    },
  };
}

/** Hosts of webhooks and feeds are without number: of them only those that are in trouble become labels of a metric. */
const isLabelled = ({ name, state }: CircuitSample): boolean => state > 0 || /^[a-z-]+$/.test(name);

/** Their changes are told to the fleet at once, and in the log. */
function openBreakers(log: Log, state: Pick<FleetState, 'changed'>): Breakers {
  return createBreakers({
    onChange: (dependency, now) => {
      const facts = { dependency, circuit: (['closed', 'half-open', 'open'] as const)[now] };
      if (now === 2) log.error(facts, 'a dependency keeps failing; its jobs are put off');
      else log.info(facts, 'circuit breaker');
      state.changed();
    },
  });
}

/** One type's claim loop, not claiming yet. */
function openLoop(
  options: FleetOptions,
  state: FleetState,
  guards: Guards,
  heartbeat: Pick<Heartbeat, 'note'>,
  shared: ReturnType<OpenTypes['partsOf']>,
  served: ServedType,
): Loop {
  const parts = {
    job: served.job,
    backend: options.backend,
    leaseMs: state.leaseMs,
    leases: guards.leases,
    clock: guards.clock,
    refusal: guards.tenants.refusal,
    held: state.held,
    onHandedBack: ({ id }: Claim) => state.handedBack.add(id),
    ...shared,
    onEnded: (claim: Claim, ended: Ended) => {
      heartbeat.note(claim.queue, ended.durationMs);
      shared.onEnded(claim, ended);
    },
  };
  const open: Loop['open'] = (isRetired) => {
    const opened = openQueueWorker({
      ...parts,
      concurrency: state.concurrencyOf(served.job),
      isStopping: () => state.isStopping || isRetired(),
    });
    countEnds(opened.worker, served.job.name, options.metrics);
    return opened;
  };
  return { name: served.job.name, concurrency: state.concurrencyOf(served.job), open };
}

function nothingToRun({ served, unavailable }: Availability): string | undefined {
  if (served.length > 0) return undefined;
  const reasons = [...unavailable].map(([name, reason]) => `${name}: ${reason}`);
  return `None of the job types can run here. ${reasons.join(' ')}`.trim();
}
