/** What the composition roots share: the opened parts of a process, and the order in which they close. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import { startKeeper } from '../backends/keeper.ts';
import { makeRoom } from '../backends/make-room.ts';
import { openBackend } from '../backends/open.ts';
import { pauseChore } from '../backends/pauses.ts';
import { payloadSweep } from '../backends/payload-sweep.ts';
import { oldestAgeS } from '../backends/queue-depth.ts';
import { retentionChores } from '../backends/retention.ts';
import { reviewSweep } from '../backends/review-sweep.ts';
import { countOpenReviews } from '../backends/reviews.ts';
import { watchSafety } from '../backends/safety.ts';
import { BackendError } from '../backends/unreachable.ts';
import { loadRegistry, type Registry } from '../jobs/registry.ts';
import { type Client, createClient } from '../producers/client.ts';
import { createSignedLinks, localSigningKey } from '../producers/signed-links.ts';
import { type Documents, mergeCollections } from '../runtime/documents.ts';
import { type commonEnv, storeUrl } from '../runtime/env.ts';
import { deleteExpiredObjects, exportDays } from '../runtime/expired-objects.ts';
import { createLog, type Log } from '../runtime/log.ts';
import { createMetrics, type Metrics } from '../runtime/metrics.ts';
import type { ObjectStore } from '../runtime/object-store.ts';
import { mongoPools, openDocuments } from '../runtime/open-documents.ts';
import { openObjectStore } from '../runtime/open-object-store.ts';
import { type SecretBox, secretBoxOf } from '../runtime/secret-box.ts';
import { keepSchedules } from './keep-schedules.ts';

export interface Parts {
  readonly env: z.output<typeof commonEnv>;
  readonly dataDir: string;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly registry: Registry;
  readonly backend: Backend;
  readonly objects: ObjectStore;
  /** Undefined where nothing keeps documents: on Redis without `MONGODB_URL`. */
  readonly documents: Documents | undefined;
  /** For the secret fields of payloads; undefined when no key is set. */
  readonly secrets: SecretBox | undefined;
  readonly client: Client;
  /** Why no work should be sent here although the store answers: it may lose what it accepts. */
  readonly unsafe: () => Promise<string | undefined>;
  /** Keeper, object store, documents, then the store of jobs. */
  readonly close: () => Promise<void>;
}

/** With `--json` standard output is for one document; lines go to standard error. */
export function processLog(name: string, level: z.output<typeof commonEnv>['LOG_LEVEL'], json: boolean): Log {
  return createLog({ name, level, ...(json ? { destination: process.stderr } : {}) });
}

const retryMs = 2_000;

interface PartsOptions {
  readonly log: Log;
  /** Imports what the process needs next, while a store of its own starts. May not be called at all. */
  readonly meanwhile?: () => Promise<unknown>;
}

/** `name` is in every log line. Outside production a store that does not answer yet is waited for, and said. */
export async function openParts(
  name: string,
  env: z.output<typeof commonEnv>,
  version: string,
  { log, meanwhile }: PartsOptions,
): Promise<Parts> {
  const dataDir = resolve(env.DATA_DIR);
  const metrics = createMetrics(version);
  const secrets = secretBoxOf({ ENCRYPTION_KEY: env.ENCRYPTION_KEY, ENCRYPTION_KEYS: env.ENCRYPTION_KEYS });
  const [registry, backend, objects] = await Promise.all([
    loadRegistry(),
    openStore(storeUrl(env), {
      log,
      batching: env.QUEUE_BATCHING === 'on',
      meanwhile,
    }),
    openObjectStore(env.STORAGE_URL ?? `file:${join(dataDir, 'objects')}`, { baseDir: process.cwd() }),
  ]);
  const documents = await openDocuments(mergeCollections([...registry.jobs.values()].map((job) => job.collections)), {
    mongoUrl: env.MONGODB_URL,
    sql: backend.sql,
    pool: name === 'api' || name === 'up' ? mongoPools.api : mongoPools.worker,
  });
  const safety = watchSafety(backend, (unsafe) => {
    if (unsafe.length === 0) log.info('the store of jobs is safe again');
    for (const finding of unsafe) log.error({ finding }, 'the store of jobs is unsafe: not ready');
  });
  const queues = [...registry.jobs.keys()];
  watchQueues(metrics, backend, queues);
  const instance = `${hostname()}-${process.pid}-${randomUUID()}`;
  const schedules = keepSchedules({ backend, registry, secrets, metrics, log, instance, release: version });
  const keeper = startKeeper({
    records: backend.records,
    instance,
    chores: [
      ...backend.chores,
      {
        name: 'expired objects',
        everyMs: 6 * 3_600_000,
        run: async (signal) => {
          const kept = { exports: exportDays, ocr: env.UPLOAD_DAYS, uploads: env.UPLOAD_DAYS };
          await deleteExpiredObjects(objects, kept, signal, await backend.now());
        },
      },
      { name: 'expired documents', everyMs: 60_000, run: async (signal) => void (await documents?.sweep(signal)) },
      payloadSweep({ backend, objects, queues }),
      reviewSweep({ backend, objects }),
      makeRoom({
        backend,
        queues,
        onRemoved: (queue, count) =>
          log.warn({ queue, count }, 'completed jobs removed early: the store is nearly full'),
      }),
      pauseChore({
        backend,
        queues,
        onEnded: ({ queue, pause }) => log.warn({ queue, by: pause.by, reason: pause.reason }, 'a pause has ended'),
      }),
      schedules.chore,
      ...retentionChores({
        backend,
        queues,
        onExpired: (queue, ids) => {
          metrics.deadLettersExpired.inc({ queue }, ids.length);
          log.warn({ queue, ids }, 'dead letters removed after 14 days');
        },
      }),
    ],
    onError: (err) => log.error({ err }, 'a chore of the keeper failed'),
  });
  return {
    env,
    dataDir,
    log,
    metrics,
    registry,
    backend,
    objects,
    documents,
    secrets,
    client: createClient({ backend, registry, metrics, objects, secrets }),
    unsafe: safety.problem,
    close: async () => {
      safety.stop();
      await schedules.atBoot;
      await keeper.close();
      await objects.close();
      await documents?.close();
      await backend.close();
    },
  };
}

/** Links that lead to the API: signed as it signs its own. Undefined where nobody knows its address. */
export async function linksTo(
  { PUBLIC_URL, SIGNING_KEY }: { readonly PUBLIC_URL?: string | undefined; readonly SIGNING_KEY?: string | undefined },
  dataDir: string,
): Promise<((key: string, ttlMs: number) => string) | undefined> {
  if (PUBLIC_URL === undefined) return undefined;
  const { read } = createSignedLinks(SIGNING_KEY ?? (await localSigningKey(dataDir)));
  return (key, ttlMs) => PUBLIC_URL.replace(/\/$/, '') + read(key, ttlMs);
}

/** Runs `start`; when it fails nothing of `close` stays open behind the error. */
export async function orClose<T>(close: () => Promise<unknown>, start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    await close();
    throw error;
  }
}

interface StoreWishes {
  readonly log: Log;
  readonly batching: boolean;
  readonly meanwhile: PartsOptions['meanwhile'];
}

async function openStore(url: string, { log, batching, meanwhile }: StoreWishes): Promise<Backend> {
  const options = {
    batching,
    onError: (err: Error) => log.error({ err }, 'the store of jobs reported an error'),
    // Whoever needs the module imports it again, and meets the same error.
    onStarting: () => void meanwhile?.().catch(() => undefined),
  };
  for (;;) {
    try {
      return await openBackend(url, options);
    } catch (error) {
      const mayCome =
        error instanceof BackendError &&
        error.code === 'BACKEND_UNREACHABLE' &&
        process.env['NODE_ENV'] !== 'production';
      if (!mayCome) throw error;
      log.error(`${error.message}. Trying again in ${retryMs / 1_000} s.`);
      await wait(retryMs);
    }
  }
}

/** Gauges of every queue, asked at each scrape. */
function watchQueues(metrics: Metrics, backend: Backend, queues: readonly string[]): void {
  metrics.watch({
    backendUp: () => backend.ping().then(() => true),
    reviews: () => reviewSamples(backend),
    queues: () =>
      Promise.all(
        queues.map(async (queue) => {
          const now = Date.now();
          const [counts, ageS, highestTag, overdue] = await Promise.all([
            backend.queue(queue).getJobCounts(),
            oldestAgeS(backend.queue(queue), now),
            backend.tags.lastTag(queue),
            backend.queue(queue).getDelayedCount(now),
          ]);
          return { queue, counts, oldestAgeS: ageS, highestTag, overdue };
        }),
      ),
  });
}

async function reviewSamples(backend: Backend) {
  const now = await backend.now();
  const counts = await countOpenReviews({ records: backend.records, now: () => now });
  return [...counts].map(([queue, { open, oldestAt }]) => ({
    queue,
    open,
    oldestAgeS: Math.max(0, (now - oldestAt) / 1_000),
  }));
}
