/** What the outside sees of a job: one shape for the client, the API and the lists. */
import type { Job as StoredJob } from 'bullmq';
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import { cancelKey } from '../backends/cancel-record.ts';
import { tenantOf } from '../backends/find.ts';
import { childrenOf } from '../backends/flows.ts';
import { readRun, runKey } from '../backends/run-record.ts';
import { readFailure } from '../backends/signature.ts';
import { outsideId } from '../backends/slot-id.ts';
import { maskText } from '../runtime/mask.ts';
import type { ObjectStore } from '../runtime/object-store.ts';
import { KeptLostError } from '../runtime/payload-objects.ts';
import { readResult } from '../runtime/result-objects.ts';

/** BullMQ's words; its `prioritized` and `paused` are `waiting` outside, and `cancelled` is ours. */
export type JobState = 'waiting' | 'delayed' | 'active' | 'waiting-children' | 'completed' | 'failed' | 'cancelled';

export interface JobStatus {
  readonly id: string;
  readonly type: string;
  readonly queue: string;
  readonly tenant: string;
  readonly status: JobState;
  /** The attempt that runs, or ran last; 0 before the first. */
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Runs that ended for no fault of the job. */
  readonly interruptions: number;
  /** 0–100; 100 once completed. */
  readonly progress: number;
  readonly progressNote: string | null;
  readonly result: unknown;
  /** Why the last attempt failed; null when none did, or when a later one succeeded. */
  readonly error: { readonly code: string; readonly message: string } | null;
  /** RFC 3339, like the others. */
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  /** The job that waits for this one. */
  readonly parent: string | null;
  /** How many jobs it waited for. */
  readonly children: number;
}

/** A child of a flow, as its parent sees it. */
export interface ChildStatus {
  readonly id: string;
  readonly type: string;
  /** `open`: it has not ended. */
  readonly status: 'completed' | 'failed' | 'open';
  /** Of a completed one. */
  readonly result: unknown;
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** With `objects` large results of children are fetched, as in `readStatus`. */
export async function readChildren(
  backend: Pick<Backend, 'queue'>,
  parent: JobStatus,
  objects?: ObjectStore,
): Promise<readonly ChildStatus[]> {
  if (parent.children === 0) return [];
  const stored: StoredJob | undefined = await backend.queue(parent.queue).getJob(parent.id);
  if (stored === undefined) return [];
  return Promise.all(
    (await childrenOf(stored)).map(({ id, queue, state, result, reason }) => {
      const failure = reason === undefined ? undefined : readFailure(reason);
      const child = {
        id,
        type: queue,
        status: state,
        result: result ?? null,
        error: failure === undefined ? null : { code: failure.code, message: maskText(failure.message) },
      };
      return withResult(child, queue, id, objects);
    }),
  );
}

/** The same with a result that is kept in the object store; a store that is not there leaves the pointer. */
async function withResult<S extends Pick<JobStatus, 'error' | 'result'>>(
  status: S,
  queue: string,
  id: string,
  objects: ObjectStore | undefined,
): Promise<S> {
  if (objects === undefined) return status;
  try {
    const result = await readResult(objects, queue, id, status.result);
    return result === status.result ? status : { ...status, result };
  } catch (error) {
    if (!(error instanceof KeptLostError)) throw error;
    return { ...status, result: null, error: { code: 'RESULT_LOST', message: `The result ${error.message}` } };
  }
}

const percent = z.union([
  z.number().transform((value) => ({ percent: value, note: null })),
  z.object({ percent: z.number(), note: z.string().nullable().default(null) }),
]);

export function outsideState(state: string): JobState | undefined {
  switch (state) {
    case 'waiting':
    case 'prioritized':
    case 'paused':
    case 'wait':
      return 'waiting';
    case 'delayed':
    case 'active':
    case 'waiting-children':
    case 'completed':
    case 'failed':
      return state;
    default:
      return undefined;
  }
}

const time = (ms: number | undefined): string | null => (ms === undefined ? null : new Date(ms).toISOString());

/** `interruptions` come from the run record. */
export function describeJob(job: StoredJob, status: JobState, interruptions: number): JobStatus {
  const progress = percent.safeParse(job.progress);
  const failed = status !== 'completed' && job.failedReason !== undefined && job.failedReason !== '';
  const failure = failed ? readFailure(job.failedReason) : undefined;
  return {
    id: outsideId(job.queueName, job.id ?? ''),
    type: job.queueName,
    queue: job.queueName,
    tenant: tenantOf(job),
    status,
    attempt: job.attemptsMade + (status === 'active' ? 1 : 0),
    maxAttempts: job.opts.attempts ?? 1,
    interruptions,
    // What came within a second of the one before was not sent on, and the last step of a job is like that.
    progress: status === 'completed' ? 100 : progress.success ? progress.data.percent : 0,
    progressNote: progress.success ? progress.data.note : null,
    result: status === 'completed' ? (job.returnvalue ?? null) : null,
    error: failure === undefined ? null : { code: failure.code, message: maskText(failure.message) },
    createdAt: new Date(job.timestamp).toISOString(),
    startedAt: time(job.processedOn),
    finishedAt: status === 'completed' || status === 'failed' ? time(job.finishedOn) : null,
    parent: job.parent?.id ?? null,
    children: childCount(job),
  };
}

function childCount({ opts }: StoredJob): number {
  const facts: unknown = Reflect.get(opts, 'jobfleet');
  const children: unknown = typeof facts === 'object' && facts !== null ? Reflect.get(facts, 'children') : 0;
  return typeof children === 'number' ? children : 0;
}

/** What cancel leaves behind of a job: it answers for it when it is gone. */
const cancelNote = z.object({
  at: z.number(),
  tenant: z.string(),
  attempt: z.number(),
  maxAttempts: z.number(),
  progress: z.number(),
  progressNote: z.string().nullable(),
  createdAt: z.string(),
  startedAt: z.string().nullable(),
  parent: z.string().nullable(),
  children: z.number(),
});
export type CancelNote = z.output<typeof cancelNote>;

/** `at`: epoch ms of the cancel. */
export function cancelNoteOf(job: StoredJob, state: JobState, at: number): CancelNote {
  return cancelNote.parse({ ...describeJob(job, state, 0), at });
}

export function readJson(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function describeCancelled(queue: string, id: string, { at, ...job }: CancelNote, interruptions: number): JobStatus {
  return {
    ...job,
    id: outsideId(queue, id),
    type: queue,
    queue,
    status: 'cancelled',
    interruptions,
    result: null,
    error: { code: 'CANCELLED', message: 'Cancelled on request.' },
    finishedAt: new Date(at).toISOString(),
  };
}

const mostTries = 5;

/**
 * Undefined for an id nobody knows (any more). A job and its state are two questions, and the job may end between them:
 * what does not fit together is asked again. With `objects` a large result is fetched; without, its pointer is the result.
 */
export async function readStatus(
  backend: Backend,
  queue: string,
  id: string,
  objects?: ObjectStore,
): Promise<JobStatus | undefined> {
  for (let tries = 1; ; tries += 1) {
    const [job, [cancelled, run]] = await Promise.all([
      backend.queue(queue).getJob(id),
      backend.records.get([cancelKey(queue, id), runKey(queue, id)]),
    ]);
    const { interrupted: interruptions } = readRun(run?.value);
    if (job === undefined) {
      const note = cancelNote.safeParse(readJson(cancelled?.value)).data;
      return note && describeCancelled(queue, id, note, interruptions);
    }
    const state = outsideState(await job.getState());
    const isEnded = state === 'completed' || state === 'failed';
    const isWhole = state !== undefined && isEnded === (job.finishedOn !== undefined);
    if (isWhole || tries === mostTries)
      return state && withResult(describeJob(job, state, interruptions), queue, id, objects);
  }
}
