/** One dead letter back to work, or the reason why not. */
import type { Job as StoredJob } from 'bullmq';
import { pointerOf } from '../runtime/payload-objects.ts';
import type { Backend } from './backend.ts';
import { forgetCancel } from './cancel-record.ts';
import { retag } from './fairness.ts';
import { tenantOf } from './find.ts';
import { mergePatch } from './merge-patch.ts';
import { noteRedrive, readRun, runKey } from './run-record.ts';

export type Redriven =
  | { readonly state: 'redriven'; readonly id: string; readonly queue: string; readonly run: number }
  | Refused;

export interface Refused {
  readonly state: 'refused';
  readonly id: string;
  readonly queue: string;
  /** `GONE`: no dead letter any more. `NEWER_TWIN`: a job with the same unique key waits or runs. `PAYLOAD_INVALID`: it would fail again at once. */
  readonly reason: 'GONE' | 'NEWER_TWIN' | 'PAYLOAD_INVALID';
  readonly message: string;
}

export interface RedriveOptions {
  /** JSON Merge Patch for the payload. */
  readonly patch?: unknown;
  /** Answers what would happen and changes nothing. */
  readonly dryRun?: boolean;
}

/** The secret fields of one stored payload. */
export interface StoredSecrets {
  /** Those that were stored without encryption pass. Throws, with a sentence, what does not open. */
  open(data: unknown): unknown;
  seal(payload: unknown): unknown;
  isSealed(data: unknown): boolean;
}

export interface RedriveParts {
  readonly backend: Pick<Backend, 'queue' | 'records' | 'tags'>;
  /** Why a payload would be refused by its job type; undefined when it would not. */
  readonly checkPayload: (queue: string, payload: unknown) => string | undefined;
  /** Undefined for a job type without secret fields. Default: no type has any. */
  readonly secrets?: (
    queue: string,
    job: { readonly id: string; readonly tenant: string },
  ) => StoredSecrets | undefined;
  readonly now: () => number;
}

/** The caller sees to it that nobody else redrives the same job meanwhile: a patch and the move are two steps. */
export async function redriveOne(
  { backend, checkPayload, secrets: secretsOf, now }: RedriveParts,
  queue: string,
  id: string,
  options: RedriveOptions = {},
): Promise<Redriven> {
  const refuse = (reason: Refused['reason'], message: string): Refused => ({
    state: 'refused',
    id,
    queue,
    reason,
    message,
  });
  const job = await deadJob(backend, queue, id);
  if (job === undefined)
    return refuse('GONE', `${id} is no dead letter of ${queue}: it was redriven, discarded or expired`);
  const isElsewhere = pointerOf(queue, id, job.data) !== undefined;
  if (isElsewhere && options.patch !== undefined)
    return refuse(
      'PAYLOAD_INVALID',
      `${id} keeps its payload in the object store, where no patch reaches it; ${instead}`,
    );
  const secrets = isElsewhere ? undefined : secretsOf?.(queue, { id, tenant: tenantOf(job) });
  const opened = openedPayload(job.data, secrets);
  if ('problem' in opened && options.patch !== undefined) return refuse('PAYLOAD_INVALID', opened.problem);
  const payload: unknown =
    'problem' in opened || options.patch === undefined ? opened.payload : mergePatch(opened.payload, options.patch);
  // One that is kept elsewhere, or does not open here, is checked by the worker that reads it.
  const problem = isElsewhere || 'problem' in opened ? undefined : checkPayload(queue, payload);
  if (problem !== undefined) return refuse('PAYLOAD_INVALID', problem);
  const twin = await twinOf(backend, queue, job);
  if (twin !== undefined) return refuse('NEWER_TWIN', `${twin} does the same work and has not ended`);
  if (options.dryRun === true) {
    const [stored] = await backend.records.get([runKey(queue, id)]);
    return { state: 'redriven', id, queue, run: readRun(stored?.value).run + 1 };
  }
  // First, because the move clears them.
  const failure = { reason: job.failedReason, at: job.finishedOn ?? 0 };
  const { run } = await noteRedrive(backend.records, queue, id, failure, now());
  const isPlain = !('problem' in opened) && secrets?.isSealed(job.data) === false;
  if (options.patch !== undefined || isPlain)
    await job.updateData(secrets === undefined ? payload : secrets.seal(payload));
  await retag(backend, queue, job);
  // One that came too late for the run that failed.
  await forgetCancel(backend.records, queue, id);
  try {
    // Never resetAttemptsStarted: it is the fence, and a fence does not turn back.
    await job.retry('failed', { resetAttemptsMade: true });
  } catch (error) {
    if (await job.isFailed()) throw error;
    return refuse('GONE', `${id} is no dead letter of ${queue} any more`);
  }
  return { state: 'redriven', id, queue, run };
}

function openedPayload(
  data: unknown,
  secrets: StoredSecrets | undefined,
): { readonly payload: unknown } | { readonly payload: unknown; readonly problem: string } {
  if (secrets === undefined) return { payload: data };
  try {
    return { payload: secrets.open(data) };
  } catch (error) {
    return { payload: data, problem: error instanceof Error ? error.message : String(error) };
  }
}

const instead = 'redrive it without a patch, or enqueue a corrected one and discard it';

/** The stored job while it is a dead letter. */
export async function deadJob(
  backend: Pick<Backend, 'queue'>,
  queue: string,
  id: string,
): Promise<StoredJob | undefined> {
  const job: StoredJob | undefined = await backend.queue(queue).getJob(id);
  return job !== undefined && (await job.isFailed()) ? job : undefined;
}

/** Id of a newer job that holds the unique key this one gave up when it failed. */
async function twinOf(backend: Pick<Backend, 'queue'>, queue: string, job: StoredJob): Promise<string | undefined> {
  if (job.deduplicationId === undefined) return undefined;
  const holder = await backend.queue(queue).getDeduplicationJobId(job.deduplicationId);
  return holder === null || holder === job.id ? undefined : holder;
}
