/** What the attempts of each job type share in one process: its handler, opened once, the pool of children, services, reports. */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OpenHandler } from '../jobs/define.ts';
import { giveUp, tryAgainIn } from '../jobs/errors.ts';
import { LimitedError, ProducerError } from '../producers/client.ts';
import type { ObjectStore } from '../runtime/object-store.ts';
import { openObjectStore } from '../runtime/open-object-store.ts';
import type { ServedType } from './availability.ts';
import type { Breakers } from './breaker.ts';
import { openChildren } from './children.ts';
import { createInterruptions, type Interruptions } from './interruptions.ts';
import { makeFolder, openBase, removeLeftovers } from './isolate/folders.ts';
import type { Pool } from './isolate/pool.ts';
import type { FleetOptions } from './main.ts';
import { createReport } from './report.ts';
import type { Ask } from './services/ask.ts';
import type { FetchUrl } from './services/objects.ts';
import { createQuotas } from './services/quotas.ts';
import type { ServiceParts } from './services/services.ts';
import { createShortLives, type ShortLives } from './services/short-lives.ts';
import { watchedStore } from './services/watched-objects.ts';
import { createSlots, type Slots } from './slots.ts';
import type { QueueParts } from './worker.ts';

export interface OpenTypes {
  readonly partsOf: (
    served: ServedType,
  ) => Pick<QueueParts, 'handling' | 'interruptions' | 'onEnded' | 'onStoreError' | 'onTrouble' | 'slots'>;
  /** Kills what children are left, closes handlers, removes the folder. */
  close(): Promise<void>;
}

/** As long as once-records: a dead letter that is redriven within that time adds no second job. */
const enqueuedKeyMs = 45 * 86_400_000;
/** After the start of a process, which needs the processors for itself. */
const sparesAfterMs = 1_000;

/** Everything is opened by the first attempt that needs it; the spare children of types that always run in one, a second later where they are wanted. */
export async function openTypes(
  options: FleetOptions,
  served: readonly ServedType[],
  breakers: Pick<Breakers, 'enter'>,
): Promise<OpenTypes> {
  const { env, log, registry } = options;
  const base = join(env.WORK_DIR ?? tmpdir(), `jobfleet-${process.getuid?.() ?? 'attempts'}`);
  await openBase(base);
  await removeLeftovers(base);
  const folder = await makeFolder(base, undefined);
  const shortLives = createShortLives(options.backend.records, (error) =>
    log.warn({ err: error }, 'records of completed jobs keep their longer life'),
  );
  const services = createServiceParts(options, breakers, shortLives);
  const interruptions = countInterruptions(options);
  const slots = watchSlots(options);
  const handlers = new Map<string, Promise<OpenHandler>>();
  let children: Promise<Pool> | undefined;
  const openPool = (): Promise<Pool> => {
    children ??= openChildren({ served, registry, log, base, environment: options.handlerEnv });
    // A pool that cannot start is tried again by the next attempt that needs it.
    children.catch(() => {
      children = undefined;
    });
    return children;
  };
  const openHandler = ({ job, handler, env: values }: ServedType): Promise<OpenHandler> => {
    const known = handlers.get(job.name);
    if (known !== undefined) return known;
    const opening = handler.open(values);
    handlers.set(job.name, opening);
    opening.catch(() => handlers.delete(job.name));
    return opening;
  };
  const prepareChildren = async (): Promise<void> => {
    try {
      await (await openPool()).prepare();
    } catch (error) {
      log.error({ err: error }, 'children of job types cannot be started here; the next job tries again');
    }
  };
  const wantsChildren = options.readyChildren !== false && served.some(({ job }) => job.policy.isolation === 'child');
  const spares = wantsChildren ? setTimeout(() => void prepareChildren(), sparesAfterMs) : undefined;
  return {
    partsOf: (type) => ({
      interruptions,
      slots,
      onEnded: createReport(type.job.name, { log, metrics: options.metrics, successSample: env.LOG_SUCCESS_SAMPLE }),
      onStoreError: (error) => log.warn({ queue: type.job.name, err: error }, 'not noted on the store'),
      onTrouble: (claim, error, doing) =>
        log.warn({ jobId: claim.id, queue: claim.queue, doing, err: error }, 'trouble beside a job'),
      handling: {
        job: type.job,
        services: services.parts,
        handler: () => openHandler(type),
        children: openPool,
        workDir: folder.path,
        secrets: options.secrets,
        onNoteError: (error) => log.warn({ queue: type.job.name, err: error }, 'progress or log line not stored'),
      },
    }),
    async close() {
      clearTimeout(spares);
      await (await children)?.close();
      for (const handler of handlers.values()) await (await handler).close();
      await services.close();
      await shortLives.close();
      await folder.remove();
    },
  };
}

function countInterruptions({ backend, log, metrics }: FleetOptions): Interruptions {
  return createInterruptions({
    records: backend.records,
    now: Date.now,
    onInterrupted: (claim, cause) => metrics.jobInterruptions.labels(claim.queue, cause).inc(),
    onAlert: (claim, interrupted) =>
      log.error({ jobId: claim.id, queue: claim.queue, interrupted }, 'a job keeps being interrupted; it runs alone'),
  });
}

function watchSlots({ backend, client, log, metrics }: FleetOptions): Slots {
  return createSlots({
    backend,
    cancel: (id) => client.cancel(id),
    onSkipped: ({ queue }, reason) => metrics.scheduleSkipped.labels(queue, reason).inc(),
    onDropped: ({ queue }) => log.warn({ queue }, 'more than 100 ticks were missed; the newest are made up for'),
    now: Date.now,
    random: Math.random,
  });
}

function createServiceParts(
  options: FleetOptions,
  breakers: Pick<Breakers, 'enter'>,
  shortLives: ShortLives,
): { readonly parts: ServiceParts; close(): Promise<void> } {
  const { backend, client, env, objects, registry } = options;
  const allow = env.HTTP_ALLOW ?? [];
  // Loaded by the first job that asks somebody: most job types ask nobody.
  let asking: Promise<Ask> | undefined;
  const openAsk = async (): Promise<Ask> => (await import('./services/ask.ts')).createAsk({ allow, breakers });
  let fetching: Promise<FetchUrl> | undefined;
  const openFetch = async (): Promise<FetchUrl> =>
    (await import('./services/http.ts')).createFetch({ allow, breakers });
  const buckets = new Map<string, Promise<ObjectStore>>();
  const parts: ServiceParts = {
    records: backend.records,
    shorten: (names) => shortLives.shorten(names),
    documents: options.documents,
    linkTo: options.linkTo,
    breakers,
    ask: async (...call) => (await (asking ??= openAsk()))(...call),
    takeQuota: createQuotas(backend),
    objects: watchedStore(objects, 'objects', breakers),
    async bucket(name) {
      if (env.INPUT_BUCKETS?.includes(name) !== true) return undefined;
      const known = buckets.get(name) ?? openObjectStore(`s3://${name}`, { baseDir: '.' });
      buckets.set(name, known);
      return watchedStore(await known, `s3://${name}`, breakers);
    },
    fetchUrl: async (url, limits) => (await (fetching ??= openFetch()))(url, limits),
    async enqueue(type, payload, { tenant, idempotencyKey, delayMs }) {
      const job = registry.find(type);
      if (job === undefined) throw giveUp('UNKNOWN_JOB', `ctx.enqueue: this release has no job type "${type}".`);
      const key = { idempotencyKey, idempotencyTtlMs: enqueuedKeyMs, repeat: 'any' } as const;
      const more = { tenant, ...key, ...(delayMs === undefined ? {} : { delayMs }) };
      try {
        return await client.enqueue(job, payload, more);
      } catch (error) {
        const message = `ctx.enqueue(${type}): ${error instanceof Error ? error.message : String(error)}`;
        // Too much now, not for ever: this job waits with it.
        if (error instanceof LimitedError) throw tryAgainIn(error.retryAfterMs, 'LIMITED', message, { cause: error });
        // Everything else the client refuses now it refuses for ever; the rest is the store, and is retried.
        if (!(error instanceof ProducerError)) throw error;
        throw giveUp('PAYLOAD_INVALID', message, { cause: error });
      }
    },
  };
  return {
    parts,
    async close() {
      for (const store of buckets.values()) await (await store).close();
    },
  };
}
