/**
 * Changes a job that waits. The type's schema decides what a payload may be, and the store compares before it writes:
 * a worker runs the payload of before or of after, never one that the answer denies.
 */
import type { Job as StoredJob } from 'bullmq';
import { z } from 'zod';
import type { Backend, JobFacts, Rewrite } from '../backends/backend.ts';
import { retag } from '../backends/fairness.ts';
import { tenantOf } from '../backends/find.ts';
import { mergePatch } from '../backends/merge-patch.ts';
import { portableJson } from '../backends/portable.ts';
import type { Input, Job } from '../jobs/define.ts';
import type { Level } from '../jobs/policy.ts';
import { pointerOf } from '../runtime/payload-objects.ts';
import type { SecretBox } from '../runtime/secret-box.ts';
import { enqueueOptions } from './accept.ts';
import { ProducerError, parseOrRefuse } from './errors.ts';
import { hiddenHash, storedSecrets } from './job-secrets.ts';
import { outsideState } from './job-status.ts';
import { hashedLimitKey } from './new-job.ts';

/** What to change; what is left out stays. */
export interface JobChange<J extends Job = Job> {
  /** The whole payload. */
  readonly payload?: Input<J>;
  /** JSON Merge Patch (RFC 7396) for the payload that is stored. Not together with `payload`. */
  readonly patch?: unknown;
  /** From now on, ms; 0: at once. For jobs that are still delayed. */
  readonly delayMs?: number | undefined;
  /** Only for types that are shared fairly. */
  readonly level?: Level | undefined;
}

/** The same over HTTP. */
export const jobChange = z.strictObject({
  payload: z.unknown().optional().describe('The whole payload.'),
  patch: z.unknown().optional().describe('JSON Merge Patch for the payload that is stored.'),
  delayMs: enqueueOptions.shape.delayMs.describe('Start this long from now, in ms; 0: at once. For delayed jobs.'),
  level: enqueueOptions.shape.level.describe('Only for types that are shared fairly.'),
});

export interface EditParts {
  readonly backend: Backend;
  readonly secrets: SecretBox | undefined;
  /** Epoch ms. */
  readonly now: () => number;
}

/** Throws `INVALID`, `TOO_LARGE` or `TOO_DEEP` for what its type does not allow, `CONFLICT` for a job that does not wait; then nothing was changed. */
export async function editJob(
  { backend, secrets, now }: EditParts,
  type: Job,
  id: string,
  given: unknown,
): Promise<void> {
  const change = checkedChange(type, given);
  // In this order: a claim after the first read shows in the second, or in what the store compares.
  const stored: StoredJob | undefined = await backend.queue(type.name).getJob(id);
  const state = stored === undefined ? undefined : outsideState(await stored.getState());
  if (stored === undefined || (state !== 'waiting' && state !== 'delayed')) throw notWaiting(state);
  if (stored.repeatJobKey !== undefined && stored.attemptsStarted === 0)
    throw new ProducerError('CONFLICT', 'This is the next tick of a schedule; edit the schedule in job.ts instead.');
  if (change.delayMs !== undefined && state !== 'delayed')
    throw new ProducerError(
      'CONFLICT',
      'The job waits for a worker already; only a delayed job can start at another time.',
    );
  const rewrite = rewriteOf(type, stored, change, { secrets, now });
  const { delayMs } = change;
  // What may start at once is rewritten first, what is put off is put off first: no worker takes it in between.
  if (delayMs !== undefined && delayMs > 0) await delayAnew(stored, delayMs);
  if (rewrite !== undefined && !(await backend.rewrite(type.name, id, rewrite))) throw notWaiting('active');
  if (change.level !== undefined) await changeTurn(backend, stored, change.level);
  if (delayMs === 0) await delayAnew(stored, 0);
}

type Change = z.output<typeof jobChange>;

function checkedChange(type: Job, given: unknown): Change {
  const change = parseOrRefuse(jobChange, given, '');
  if (Object.values(change).every((value) => value === undefined))
    throw refusal('', 'expected payload, patch, delayMs or level');
  if (change.payload !== undefined && change.patch !== undefined)
    throw refusal('patch', 'expected payload or patch, not both');
  if (change.level !== undefined && type.policy.order !== 'fair')
    throw refusal('level', `${type.name} has no levels: its jobs run in the order they came`);
  return change;
}

/** What the store shall write; undefined when only the time changes. */
function rewriteOf(
  type: Job,
  stored: StoredJob,
  change: Change,
  { secrets, now }: Pick<EditParts, 'now' | 'secrets'>,
): Rewrite | undefined {
  const facts = factsOf(stored);
  const startBy = facts?.startBy;
  if (startBy !== undefined && change.delayMs !== undefined && startBy <= now() + change.delayMs)
    throw refusal('delayMs', 'expected a start before the job’s startBy');
  const payload = editedPayload(type, stored, change, secrets);
  if (payload === undefined && change.level === undefined) return undefined;
  const hash =
    secrets !== undefined && type.secretFields.length > 0
      ? (text: string) => hiddenHash(secrets, text, tenantOf(stored))
      : undefined;
  const limitKey = payload === undefined ? facts?.limitKey : hashedLimitKey(type, payload.value, hash);
  const level = change.level ?? facts?.level ?? 'normal';
  const isSame = level === (facts?.level ?? 'normal') && limitKey === facts?.limitKey;
  const changed: JobFacts = {
    tenant: tenantOf(stored),
    ...(level === 'normal' ? {} : { level }),
    ...(limitKey === undefined ? {} : { limitKey }),
    ...(startBy === undefined ? {} : { startBy }),
    ...(facts?.children === undefined ? {} : { children: facts.children }),
    v: 1,
  };
  return {
    attemptsStarted: stored.attemptsStarted,
    ...(payload === undefined ? {} : { json: payload.json }),
    ...(isSame ? {} : { facts: changed }),
  };
}

function editedPayload(
  type: Job,
  stored: StoredJob,
  { payload, patch }: Change,
  box: SecretBox | undefined,
): { readonly value: unknown; readonly json: string } | undefined {
  if (payload === undefined && patch === undefined) return undefined;
  const where = payload === undefined ? 'patch' : 'payload';
  if (pointerOf(type.name, stored.id ?? '', stored.data) !== undefined)
    throw refusal(where, 'the payload is kept in the object store; cancel the job and enqueue a corrected one');
  const secrets = storedSecrets(type, box, { id: stored.id ?? '', tenant: tenantOf(stored) });
  const before: unknown = secrets === undefined ? stored.data : secrets.open(stored.data);
  const value: unknown = parseOrRefuse(type.payload, payload ?? mergePatch(before, patch), 'payload');
  const plain = portableJson(value);
  const json =
    secrets === undefined || typeof plain !== 'string' ? plain : portableJson(secrets.seal(JSON.parse(plain)));
  if (typeof json !== 'string')
    throw new ProducerError(/has \d+ bytes/.test(json.problem) ? 'TOO_LARGE' : 'INVALID', json.problem, [
      { path: where, message: json.problem },
    ]);
  if (stored.deduplicationId !== undefined && type.uniqueKey?.(value) !== type.uniqueKey?.(before))
    throw refusal(where, 'expected the same unique key; cancel the job and enqueue another one');
  return { value, json };
}

const factsShape = z.object({
  tenant: z.string(),
  level: z.enum(['high', 'low']).optional(),
  limitKey: z.string().optional(),
  startBy: z.number().optional(),
  children: z.number().optional(),
});

function factsOf({ opts }: StoredJob): z.output<typeof factsShape> | undefined {
  const facts: unknown = Reflect.get(opts, 'jobfleet');
  return factsShape.safeParse(facts).data;
}

async function changeTurn(backend: Backend, stored: StoredJob, level: JobFacts['level'] | 'normal'): Promise<void> {
  Reflect.set(stored.opts, 'jobfleet', { tenant: tenantOf(stored), level });
  await retag(backend, stored.queueName, stored);
}

/** One that became due meanwhile has no delay to change: fine for a job that shall start at once. */
async function delayAnew(stored: StoredJob, delayMs: number): Promise<void> {
  try {
    await stored.changeDelay(delayMs);
  } catch (error) {
    const state = outsideState(await stored.getState());
    if (state === 'delayed') throw error;
    if (delayMs > 0) throw notWaiting(state);
  }
}

function notWaiting(state: string | undefined): ProducerError {
  const why =
    state === 'completed' || state === 'failed'
      ? 'The job has ended'
      : state === undefined
        ? 'The job is gone'
        : state === 'waiting-children'
          ? 'The job waits for its children'
          : 'A worker has taken the job';
  return new ProducerError('CONFLICT', `${why}; only a job that waits can be edited.`);
}

function refusal(path: string, message: string): ProducerError {
  return new ProducerError('INVALID', path === '' ? message : `${path}: ${message}`, [{ path, message }]);
}
