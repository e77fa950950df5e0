/**
 * `runJob(handler, payload)`: one attempt exactly as a worker would run it (pipeline, real context, real object store in
 * a temporary folder, payload and result through JSON), without a queue. For the tests of handlers.
 *
 *   await using run = await runJob(handler, { source: 'object:t/-/cat.jpg' }, { inputs: { 'cat.jpg': bytes } });
 *   assert.deepEqual(run.outcome, { state: 'done' });
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Backend } from '../backends/backend.ts';
import { portableJson } from '../backends/portable.ts';
import { lockOf } from '../backends/secret-owner.ts';
import type { Enqueued, Handler } from '../jobs/define.ts';
import { giveUp } from '../jobs/errors.ts';
import { sealFields } from '../jobs/secret-fields.ts';
import type { Documents, TenantDocuments } from '../runtime/documents.ts';
import { memoryDocuments } from '../runtime/documents-memory.ts';
import type { ObjectStore } from '../runtime/object-store.ts';
import { openFolderStore } from '../runtime/object-store-folder.ts';
import { inlineLimitBytes } from '../runtime/payload-objects.ts';
import { createSecretBox } from '../runtime/secret-box.ts';
import { type AttemptOutcome, attempt } from './attempt.ts';
import { type Breakers, createBreakers } from './breaker.ts';
import { type Claim, parseClaim } from './claim.ts';
import { type ChildRunner, createHandling } from './handling.ts';
import { createInterruptions } from './interruptions.ts';
import { createRunning, type Running } from './running.ts';
import { createAsk } from './services/ask.ts';
import type { GuardOptions } from './services/guard.ts';
import { createFetch } from './services/http.ts';
import type { NoteSink, ProgressNote } from './services/notes.ts';
import { createQuotas } from './services/quotas.ts';
import type { ServiceParts } from './services/services.ts';
import { createShortLives } from './services/short-lives.ts';
import { watchedStore } from './services/watched-objects.ts';
import { memoryLimiter, memoryRecords } from './testing-records.ts';

export interface RunJobOptions {
  /** Default `-`. */
  readonly tenant?: string;
  /** Which attempt this is; default 1. */
  readonly attempt?: number;
  /** The variables the handler declares, as strings. */
  readonly env?: Readonly<Record<string, string>>;
  /** Objects that are there before: key relative to the tenant → bytes. The payload names them `object:t/<tenant>/<key>`. */
  readonly inputs?: Readonly<Record<string, Uint8Array>>;
  /** Keep objects here, for several runs over one store; default: a folder of this run. It is not closed. */
  readonly objects?: ObjectStore;
  /** Keep documents here, for several runs over one store; default: in the memory of this run, with the collections of the job type. It is not closed. */
  readonly documents?: Documents;
  /** Once-records and run records, for several runs of one job; default: of this run. */
  readonly records?: ServiceParts['records'];
  /** How `https://` inputs are fetched; default: the guarded fetch of a worker. */
  readonly fetchUrl?: ServiceParts['fetchUrl'];
  /** What `ctx.http` may reach beside public hosts, and whose certificates it trusts; default: nothing, the system's. */
  readonly http?: GuardOptions;
  /** Signs the links of `ctx.objects.link`; default: none are made. */
  readonly linkTo?: ServiceParts['linkTo'];
  /** Circuit breakers, for several runs of one process; default: of this run. */
  readonly breakers?: Pick<Breakers, 'enter'>;
  /** Counts quotas, for several runs of one tenant; default: of this run. */
  readonly limiter?: Backend['limiter'];
  /** Run the handler in a child of this pool, as a worker does for `isolation: 'child'`; default: in this process, whatever the policy says. */
  readonly pool?: ChildRunner;
  /** Called one turn of the loop after the handler began: lets a test abort it. */
  readonly onStart?: (running: Pick<Running, 'abort'>) => void;
  /** Job id; default `<type>_TEST`. Runs that share records and an id are attempts of one job. */
  readonly id?: string;
}

export interface JobRun extends AsyncDisposable {
  readonly outcome: AttemptOutcome;
  readonly result: unknown;
  /** What the attempt failed with; a `JobError` where the handler threw one. */
  readonly error: Error | undefined;
  /** `<level> <message> <facts>`, masked as on the board. */
  readonly logs: readonly string[];
  /** Every value that would have been stored, in order. */
  readonly progress: readonly ProgressNote[];
  readonly enqueued: readonly { readonly type: string; readonly payload: unknown; readonly key: string }[];
  /** What the handler stored, and the inputs. */
  readonly objects: ObjectStore;
  /** The documents of the job's tenant. */
  readonly documents: TenantDocuments;
  /** Removes the temporary folder. `await using` does the same. */
  close(): Promise<void>;
}

/** Resolves whatever the outcome; rejects only where the test itself is wrong (variables the handler refuses). */
export async function runJob(handler: Handler, payload: unknown, options: RunJobOptions = {}): Promise<JobRun> {
  const scratch = await mkdtemp(join(tmpdir(), 'jobfleet-test-'));
  const objects = options.objects ?? (await openFolderStore(join(scratch, 'objects')));
  const close = async (): Promise<void> => {
    if (options.objects === undefined) await objects.close();
    await rm(scratch, { recursive: true, force: true });
  };
  try {
    const tenant = options.tenant ?? '-';
    for (const [key, bytes] of Object.entries(options.inputs ?? {}))
      await objects.put(`t/${tenant}/${key}`, Readable.from([bytes]), { contentType: 'application/octet-stream' });
    const documents = options.documents ?? memoryDocuments(handler.job.collections);
    const ran = await runOnce(handler, payload, { ...options, documents }, objects, scratch);
    return { ...ran, objects, documents: documents.of(tenant), close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function runOnce(
  handler: Handler,
  payload: unknown,
  options: RunJobOptions & { readonly documents: Documents },
  objects: ObjectStore,
  workDir: string,
): Promise<Omit<JobRun, 'close' | 'documents' | 'objects' | typeof Symbol.asyncDispose>> {
  const records = options.records ?? memoryRecords();
  const breakers = options.breakers ?? createBreakers();
  const seen = { logs: [] as string[], progress: [] as ProgressNote[], enqueued: [] as JobRun['enqueued'][number][] };
  const sink: NoteSink = {
    log: async (line) => seen.logs.push(line),
    progress: async (value) => seen.progress.push(value),
  };
  const opened = await handler.open(options.env ?? {});
  // The policy's isolation is obeyed only with a pool: a unit test need not start processes.
  const isolation = options.pool === undefined ? 'none' : 'child';
  const job = { ...handler.job, policy: { ...handler.job.policy, isolation } } as const;
  const running = createRunning(claimFor(handler, payload, options));
  const onError = (error: unknown): never => {
    throw error;
  };
  const shortLives = createShortLives(records, onError);
  const handling = createHandling(running, sink, {
    job,
    services: {
      records,
      shorten: (names) => shortLives.shorten(names),
      documents: options.documents,
      linkTo: options.linkTo,
      breakers,
      ask: createAsk({ ...options.http, breakers }),
      takeQuota: createQuotas({ limiter: options.limiter ?? memoryLimiter() }),
      objects: watchedStore(objects, 'objects', breakers),
      bucket: async () => undefined,
      fetchUrl: options.fetchUrl ?? createFetch({ breakers }),
      enqueue: async (type, more, { idempotencyKey }) => {
        // What no store takes: said here as a worker says it.
        const json = portableJson(more, inlineLimitBytes);
        if (typeof json !== 'string') throw giveUp('PAYLOAD_INVALID', `ctx.enqueue(${type}): ${json.problem}`);
        seen.enqueued.push({ type, payload: asStored(more), key: idempotencyKey });
        return receipt(type, idempotencyKey);
      },
    },
    handler: async () => opened,
    children: async () => options.pool ?? Promise.reject(new Error('runJob has no pool; pass one as options.pool')),
    workDir,
    secrets: box,
    onNoteError: onError,
  });
  try {
    const ended = await attempt(running, {
      job,
      records,
      interruptions: createInterruptions({ records, now: Date.now, onInterrupted: () => {}, onAlert: () => {} }),
      run: (_running, alone) => {
        setImmediate(() => options.onStart?.(running));
        return handling.run(alone);
      },
      now: Date.now,
      random: Math.random,
    });
    await handling.close(ended.outcome.state === 'done');
    await shortLives.close();
    return { outcome: ended.outcome, result: asStored(ended.result), error: ended.error, ...seen };
  } finally {
    await opened.close();
  }
}

/** What a producer would have encrypted is encrypted here, too. */
const box = createSecretBox([{ id: 'test', key: 'of runJob, where nothing is kept' }]);

function claimFor(handler: Handler, payload: unknown, options: RunJobOptions): Claim {
  const attempt = options.attempt ?? 1;
  const { name, secretFields } = handler.job;
  const owner = { id: options.id ?? `${name}_TEST`, tenant: options.tenant ?? '-' };
  return parseClaim(
    {
      id: owner.id,
      name: handler.job.name,
      data: sealFields(secretFields, asStored(payload), lockOf(box, name, owner)),
      opts: { attempts: handler.job.policy.attempts, jobfleet: { tenant: owner.tenant, v: 1 } },
      timestamp: Date.now(),
      attemptsMade: attempt - 1,
      attemptsStarted: attempt,
      stalledCounter: 0,
    },
    handler.job,
  );
}

/** What a store would give back. */
function asStored(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

function receipt(type: string, key: string): Enqueued {
  const createdAt = new Date().toISOString();
  return { id: `${type}_${key}`, type, queue: type, status: 'waiting', duplicate: false, createdAt };
}
