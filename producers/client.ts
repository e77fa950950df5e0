/**
 * How other services put work in. A wrong payload fails to compile; what arrives from elsewhere is parsed all the same.
 * A call either has stored the job or throws `ProducerError` (or the store's own error: then use an idempotency key and
 * call again).
 *
 *     const client = await openClient(process.env);
 *     const { id } = await client.enqueue(emailSending, { to: 'ada@example.com', template: 'welcome' });
 */
import type { Backend } from '../backends/backend.ts';
import { openBackend } from '../backends/open.ts';
import { tenantReader } from '../backends/tenants.ts';
import type { Enqueued, EnqueueOptions, Input, Job } from '../jobs/define.ts';
import { loadRegistry, type Registry } from '../jobs/registry.ts';
import { commonEnv, parseEnv, storeUrl } from '../runtime/env.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { ObjectStore } from '../runtime/object-store.ts';
import { openObjectStore } from '../runtime/open-object-store.ts';
import { inlineLimitBytes, offloadedLimitBytes } from '../runtime/payload-objects.ts';
import { type SecretBox, secretBoxOf } from '../runtime/secret-box.ts';
import { type AcceptParts, accept, none, prepare } from './accept.ts';
import { acceptMany } from './accept-many.ts';
import { type CancelAnswer, cancelJob } from './cancel.ts';
import { editJob, type JobChange } from './edit.ts';
import { asRefusal, unknownType } from './errors.ts';
import { type EnqueuedFlow, enqueueFlow, type FlowNode } from './flow.ts';
import { openGate } from './gate.ts';
import { createIds } from './ids.ts';
import { type ChildStatus, type JobStatus, readChildren, readStatus } from './job-status.ts';
import { prepareMany } from './prepare-many.ts';
import { storedId, typeOf } from './stored-id.ts';

export type { JobChange } from './edit.ts';
export { LimitedError, ProducerError } from './errors.ts';
export { flowChild } from './flow.ts';
export { storedSecrets } from './job-secrets.ts';
export type { JobStatus } from './job-status.ts';

export interface ClientParts {
  readonly backend: Backend;
  readonly registry: Registry;
  readonly metrics?: Pick<Metrics, 'jobsEnqueued'> & Partial<Pick<Metrics, 'addsRefused' | 'rateLimited'>>;
  /**
   * The workers' own. With it `enqueue` and `enqueueMany` take payloads of up to 10 MiB (what is over 256 KiB is kept there,
   * beside the job), and `status` and `children` fetch results of that size; without it their pointer is the result.
   */
  readonly objects?: ObjectStore;
  /** Encrypts the secret fields of payloads; without it types that have any are refused (`KEY_MISSING`). */
  readonly secrets?: SecretBox | undefined;
  /** Epoch ms; default the wall clock. */
  readonly now?: () => number;
}

/** One job of `enqueueMany`. */
export interface Item<J extends Job> {
  readonly payload: Input<J>;
  readonly options?: EnqueueOptions;
}

/** One job of `enqueueBatch`, checked by nobody yet. */
export interface NamedItem {
  readonly type: string;
  readonly payload: unknown;
  readonly options?: EnqueueOptions | undefined;
}

/** What an entrance adds to a call. */
export interface Entrance {
  /** Tells idempotency keys of one entrance from another's; default: the type. */
  readonly route?: string;
  /** Hears of the rate the call was counted by. */
  readonly onRate?: AcceptParts['onRate'];
  /** The job is a run of its type's schedule, for nobody; only operators have that entrance. */
  readonly isScheduled?: boolean;
}

export interface Client {
  /**
   * Stores one job. Throws `ProducerError`: `INVALID`, `TOO_LARGE`, `TOO_DEEP`, `IDEMPOTENCY_MISMATCH` (same key, other
   * request), or `LimitedError` (`LIMITED`, with `retryAfterMs`) when a rate is used up or the store is too full.
   */
  readonly enqueue: <J extends Job>(job: J, payload: Input<J>, options?: EnqueueOptions) => Promise<Enqueued>;
  /** At most 1,000 of one type: all of them are stored, or none. Errors name `items.<index>`. Answers in order. */
  readonly enqueueMany: <J extends Job>(job: J, items: readonly Item<J>[]) => Promise<Enqueued[]>;
  /** As `enqueue` for a type known only by its name or alias, with a payload nobody checked. */
  readonly enqueueNamed: (type: string, payload: unknown, options?: EnqueueOptions & Entrance) => Promise<Enqueued>;
  /** As `enqueueMany` for items of any types, each known only by its name or alias. On a Redis Cluster it is all or none of each type. */
  readonly enqueueBatch: (items: readonly NamedItem[], entrance?: Entrance) => Promise<Enqueued[]>;
  /**
   * Stores a parent that runs after its children, and them, all or nothing: at most 1,000 jobs, 8 levels, one tenant. A
   * child that becomes a dead letter makes its parent one (`CHILD_FAILED`) unless it says `onFailure: 'ignore'`. Throws
   * `ProducerError` as `enqueue`, and `UNSUPPORTED` on a store without flows.
   */
  readonly enqueueFlow: <J extends Job>(
    job: J,
    payload: Input<J>,
    flow: { readonly children: readonly FlowNode[]; readonly options?: EnqueueOptions },
  ) => Promise<EnqueuedFlow>;
  /** The same for a flow of types known only by their names, with payloads nobody checked. */
  readonly enqueueFlowNamed: (flow: FlowNode, options?: EnqueueOptions & Entrance) => Promise<EnqueuedFlow>;
  /** The children of a parent, in no order; undefined for an unknown or foreign id. */
  readonly children: (id: string, tenant?: string) => Promise<readonly ChildStatus[] | undefined>;
  /** Undefined for an unknown or foreign id. Without `tenant` every job is seen. */
  readonly status: (id: string, tenant?: string) => Promise<JobStatus | undefined>;
  /**
   * Changes a job that waits, and answers how it stands then; undefined for an unknown or foreign id. Throws
   * `ProducerError`: `INVALID`, `TOO_LARGE`, or `CONFLICT` when it does not wait (any more); then nothing was changed.
   */
  readonly edit: <J extends Job>(id: string, change: JobChange<J>, tenant?: string) => Promise<JobStatus | undefined>;
  /** Undefined for an unknown or foreign id. */
  readonly cancel: (id: string, tenant?: string) => Promise<CancelAnswer | undefined>;
}

/** Holds no connection of its own: `backend` stays the caller's. */
export function createClient(parts: ClientParts): Client {
  const now = parts.now ?? Date.now;
  // One moment for the id, the stored time and the answer.
  let at = 0;
  const newId = createIds(() => at);
  const { backend, registry, secrets, objects } = parts;
  const tenants = tenantReader(backend.records);
  const acceptParts: AcceptParts = { ...parts, tenants, gate: openGate(backend, tenants, parts.metrics) };

  // Payloads nobody checked come over HTTP or from the board, whose bodies end at 256 KiB.
  const enqueueNamed: Client['enqueueNamed'] = (type, payload, options) =>
    enqueueUpTo(inlineLimitBytes, type, payload, options);
  const largest = parts.objects === undefined ? inlineLimitBytes : offloadedLimitBytes;
  const enqueueUpTo = async (
    limitBytes: number,
    type: string,
    payload: unknown,
    options: Parameters<Client['enqueueNamed']>[2],
  ): Promise<Enqueued> => {
    const job = registry.find(type);
    if (job === undefined) throw unknownType(type, registry);
    const { route = job.name, onRate, isScheduled = false, ...rest }: EnqueueOptions & Entrance = options ?? none;
    at = now();
    const prepared = prepare(job, newId(job.name), payload, options === undefined ? none : rest, {
      now: at,
      limitBytes,
      secrets,
      isScheduled,
    });
    let answer: Enqueued;
    try {
      answer = await accept(prepared, route, onRate === undefined ? acceptParts : { ...acceptParts, onRate });
    } catch (error) {
      throw asRefusal(error);
    }
    return answer.duplicate ? current(answer) : answer;
  };
  const enqueueAll = async (
    limitBytes: number,
    items: readonly NamedItem[],
    { route, onRate }: Entrance = {},
  ): Promise<Enqueued[]> => {
    at = now();
    const prepared = prepareMany(items, { registry, newId, now: at, limitBytes, secrets });
    try {
      return await acceptMany(prepared, ({ job }) => route ?? job.name, { ...acceptParts, onRate });
    } catch (error) {
      throw asRefusal(error);
    }
  };
  const flow = async (limitBytes: number, node: FlowNode, { route, onRate, ...options }: EnqueueOptions & Entrance) => {
    at = now();
    const flowParts = { ...acceptParts, onRate, registry, newId };
    try {
      return await enqueueFlow(node, options, route, { now: at, limitBytes, secrets }, flowParts);
    } catch (error) {
      throw asRefusal(error);
    }
  };
  // A fresh answer needs no look at the store; a duplicate's job may have gone on since.
  const current = async (answer: Enqueued): Promise<Enqueued> => {
    const stored = await readStatus(backend, answer.queue, answer.id);
    return stored === undefined ? answer : { ...answer, status: stored.status };
  };
  const queueOf = (id: string): string | undefined => {
    const type = typeOf(id);
    return type !== undefined && registry.jobs.has(type) ? type : undefined;
  };
  const status: Client['status'] = async (id, tenant) => {
    const queue = queueOf(id);
    if (queue === undefined) return undefined;
    const found = await readStatus(backend, queue, await storedId(backend, queue, id), objects);
    return tenant === undefined || found?.tenant === tenant ? found : undefined;
  };
  return {
    enqueue: (job, payload, options) => enqueueUpTo(largest, job.name, payload, options),
    enqueueMany: (job, items) =>
      enqueueAll(
        largest,
        items.map(({ payload, options }) => ({ type: job.name, payload, options })),
      ),
    enqueueNamed,
    enqueueBatch: (items, entrance) => enqueueAll(inlineLimitBytes, items, entrance),
    enqueueFlow: (job, payload, { children, options = none }) =>
      flow(largest, { type: job.name, payload, children }, options),
    enqueueFlowNamed: (node, options = none) => flow(inlineLimitBytes, node, options),
    children: async (id, tenant) => {
      const found = await status(id, tenant);
      return found && readChildren(backend, found, objects);
    },
    status,
    edit: async (id, change, tenant) => {
      const found = await status(id, tenant);
      const type = found === undefined ? undefined : registry.jobs.get(found.queue);
      if (type === undefined) return undefined;
      await editJob({ backend, secrets, now }, type, await storedId(backend, type.name, id), change);
      return status(id, tenant);
    },
    cancel: async (id, tenant) => {
      const found = await status(id, tenant);
      return found === undefined
        ? undefined
        : cancelJob(backend, found.queue, await storedId(backend, found.queue, id));
    },
  };
}

const clientEnv = commonEnv.pick({ DATA_DIR: true, QUEUE_URL: true, QUEUE_BATCHING: true, STORAGE_URL: true });

/**
 * A client with a store of its own, for a service that only enqueues: `QUEUE_URL` (default `embedded`, in `DATA_DIR`), as
 * the processes that serve it read them. With `STORAGE_URL`, which must be the workers' own, payloads of up to 10 MiB are
 * taken and results of that size fetched; with `ENCRYPTION_KEY`, theirs as well, types with secret fields. Close it when done. `onError` hears of
 * connections that fail in the background; default: nobody, because every call that meets one throws by itself.
 */
export async function openClient(
  env: Readonly<Record<string, string | undefined>>,
  options: { readonly registry?: Registry; readonly onError?: (error: Error) => void } = {},
): Promise<Client & { readonly close: () => Promise<void> }> {
  const registry = options.registry ?? (await loadRegistry());
  const secrets = secretBoxOf(env);
  const own = parseEnv(clientEnv, env);
  const backend = await openBackend(storeUrl(own), {
    onError: options.onError ?? (() => undefined),
    connections: 2,
    batching: own.QUEUE_BATCHING === 'on',
  });
  try {
    const storageUrl = own.STORAGE_URL;
    const objects = storageUrl && (await openObjectStore(storageUrl, { baseDir: process.cwd(), environment: env }));
    return {
      ...createClient({ backend, registry, secrets, ...(objects ? { objects } : {}) }),
      close: async () => {
        if (objects) await objects.close();
        await backend.close();
      },
    };
  } catch (error) {
    await backend.close();
    throw error;
  }
}
