/**
 * How a job is accepted: parse, check what no store can hold, then add. With an idempotency key a record is written
 * first, so that a repeat after a crash or a lost answer finds the same id; adding an id twice is a no-op on every store.
 */
import { createHash } from 'node:crypto';
import type { JobsOptions } from 'bullmq';
import { z } from 'zod';
import type { Backend, JobFacts, NewJob, RecordEntry } from '../backends/backend.ts';
import { portableJson } from '../backends/portable.ts';
import type { Enqueued, EnqueueOptions, Job } from '../jobs/define.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { ObjectStore } from '../runtime/object-store.ts';
import { inlineLimitBytes } from '../runtime/payload-objects.ts';
import { fingerprint } from './canonical.ts';
import { ProducerError, parseOrRefuse } from './errors.ts';
import { readId } from './ids.ts';
import { addLarge, addManyLarge, isLarge } from './offload.ts';

const dayMs = 86_400_000;
const idempotencyTtlMs = dayMs;

export const tenantRule = /^(?:-|[a-z0-9_-]{1,64})$/;

/** The options a producer may give, in TypeScript and over HTTP. */
export const enqueueOptions = z.strictObject({
  delayMs: z
    .int()
    .min(0)
    .max(366 * dayMs)
    .optional()
    .describe('Wait this long before the job may start, in ms.'),
  attempts: z.int().min(1).max(100).optional().describe('Runs that may fail before the job is a dead letter.'),
  startBy: z.iso.datetime({ offset: true }).optional().describe('Not started by then: dead letter EXPIRED. RFC 3339.'),
});

const ownOptions = enqueueOptions.extend({
  idempotencyKey: z
    .string()
    .min(1)
    .max(255)
    .regex(/^[^\p{Cc}\p{Cs}]+$/u, 'expected no control characters')
    .optional(),
  tenant: z.string().regex(tenantRule, 'expected lower-case letters, digits, - and _, at most 64').optional(),
});

/** A job that passed every check and waits to be stored. */
export interface Prepared {
  readonly job: Job;
  readonly id: string;
  readonly payload: object;
  /** The payload as it is stored. */
  readonly json: string;
  readonly options: z.output<typeof ownOptions>;
  readonly tenant: string;
  readonly acceptedAt: number;
  /** Of what the producer sent, before defaults: a deploy that changes a default must not break a repeat. */
  readonly fingerprint: string;
}

interface AcceptParts {
  readonly backend: Backend;
  readonly metrics?: Pick<Metrics, 'jobsEnqueued'> | undefined;
  /** Where payloads over 256 KiB go; needed only when `prepare` let one pass. */
  readonly objects?: ObjectStore | undefined;
}

/** Most jobs come without options. */
export const none: EnqueueOptions = Object.freeze({});

/** Throws `INVALID`, `TOO_LARGE` or `TOO_DEEP` with the path of each problem; touches no store. `where` is put before each path, `limitBytes` bounds the payload. */
export function prepare(
  job: Job,
  id: string,
  input: unknown,
  options: EnqueueOptions,
  now: number,
  where = '',
  limitBytes = inlineLimitBytes,
): Prepared {
  const checked = options === none ? none : parseOrRefuse(ownOptions, options, `${where}options`);
  if (checked.startBy !== undefined && Date.parse(checked.startBy) <= now + (checked.delayMs ?? 0)) {
    const message = 'expected a time after the moment the job may start';
    throw new ProducerError('INVALID', `${where}options.startBy: ${message}`, [
      { path: `${where}options.startBy`, message },
    ]);
  }
  const payload: unknown = parseOrRefuse(job.payload, input, `${where}payload`);
  // What is stored, not what came: a schema may fill and change fields, and strict ones drop nothing that was there.
  const json = jsonOf(payload, where, limitBytes);
  const { idempotencyKey: _key, tenant = '-', ...rest } = checked;
  return {
    job,
    id,
    // What is portable is a plain object.
    payload: Object(payload),
    json,
    options: checked,
    tenant,
    acceptedAt: now,
    fingerprint:
      checked.idempotencyKey === undefined ? '' : fingerprint({ type: job.name, payload: input, options: rest }),
  };
}

function jsonOf(payload: unknown, where: string, limitBytes: number): string {
  const json = portableJson(payload, limitBytes);
  if (typeof json === 'string') return json;
  const message = json.problem;
  const code = /has \d+ bytes/.test(message)
    ? 'TOO_LARGE'
    : /deeper than|more than/.test(message)
      ? 'TOO_DEEP'
      : 'INVALID';
  throw new ProducerError(code, message, [{ path: `${where}payload`, message }]);
}

/**
 * What BullMQ is told. `jobfleet` is our one extra option, and stands there only when it says something; `data` stays
 * the bare payload. Options are packed, stored and read again with every claim, so what is a default is left out.
 */
function storeOptions(prepared: Prepared): JobsOptions & { readonly jobfleet?: JobFacts } {
  const { job, options, tenant, payload } = prepared;
  const key = job.uniqueKey?.(payload);
  const startBy = options.startBy === undefined ? undefined : Date.parse(options.startBy);
  return {
    attempts: options.attempts ?? job.policy.attempts,
    backoff: { type: 'policy' },
    ...(options.delayMs === undefined ? {} : { delay: options.delayMs }),
    // Hashed: a unique key may hold an address, and options are shown as they are.
    ...(key === undefined
      ? {}
      : { deduplication: { id: createHash('sha256').update(`${tenant}\n${key}`).digest('hex') } }),
    ...(tenant === '-' && startBy === undefined
      ? {}
      : { jobfleet: { tenant, ...(startBy === undefined ? {} : { startBy }), v: 1 } }),
  };
}

/** The state before any worker saw the job. */
const freshStatus = (options: { readonly delayMs?: number | undefined }): string =>
  (options.delayMs ?? 0) > 0 ? 'delayed' : 'waiting';

/** Stores one job, or throws. `status` in the answer is the fresh one; a duplicate's current state is asked by the caller. */
export function accept(prepared: Prepared, route: string, parts: AcceptParts): Promise<Enqueued> {
  const key = prepared.options.idempotencyKey;
  return key === undefined ? add(prepared, prepared.id, false, parts) : acceptOnce(prepared, key, route, parts);
}

async function acceptOnce(prepared: Prepared, key: string, route: string, parts: AcceptParts): Promise<Enqueued> {
  const { records } = parts.backend;
  const recordKey = `idem:${prepared.tenant}:${route}:${key}`;
  const open: Claimed = { id: prepared.id, fingerprint: prepared.fingerprint, state: 'open' };
  const entry = await records.putIfAbsent(recordKey, JSON.stringify(open), idempotencyTtlMs);
  const claimed = claimedKey.parse(JSON.parse(entry.value));
  if (claimed.fingerprint !== prepared.fingerprint) {
    throw new ProducerError('IDEMPOTENCY_MISMATCH', 'The idempotency key was used before with another request.');
  }
  if (claimed.state === 'stored') return answer(prepared, claimed.id, true);
  const added = await add(prepared, claimed.id, !entry.stored, parts);
  await confirm(parts, recordKey, entry, {
    ...claimed,
    id: added.id,
    state: 'stored',
  });
  return added;
}

const claimedKey = z.object({
  id: z.string(),
  fingerprint: z.string(),
  state: z.enum(['open', 'stored']),
});
type Claimed = z.output<typeof claimedKey>;

/** Losing the comparison is fine: another call with the same key stored the same job and confirmed first. */
async function confirm(parts: AcceptParts, key: string, entry: RecordEntry, value: Claimed): Promise<void> {
  await parts.backend.records.compareAndSet(key, entry.version, JSON.stringify(value), idempotencyTtlMs);
}

async function add(prepared: Prepared, id: string, isRepeat: boolean, parts: AcceptParts): Promise<Enqueued> {
  const own = id === prepared.id ? prepared : { ...prepared, id, acceptedAt: createdAt(prepared, id) };
  const queue = prepared.job.name;
  const stored = await (isLarge(own) ? addLarge(queue, newJob(own), parts) : parts.backend.add(queue, newJob(own)));
  return counted(prepared, stored, isRepeat || stored !== id, parts);
}

function newJob(prepared: Prepared): NewJob {
  const { id, job, json, acceptedAt } = prepared;
  return { id, name: job.name, json, timestamp: acceptedAt, options: storeOptions(prepared) };
}

function counted(prepared: Prepared, id: string, duplicate: boolean, parts: AcceptParts): Enqueued {
  if (!duplicate) parts.metrics?.jobsEnqueued.inc({ queue: prepared.job.name });
  return answer(prepared, id, duplicate);
}

/** An id of an earlier call tells when its job was accepted. */
function createdAt(prepared: Prepared, id: string): number {
  return id === prepared.id ? prepared.acceptedAt : (readId(id)?.createdAtMs ?? prepared.acceptedAt);
}

function answer(prepared: Prepared, id: string, duplicate: boolean): Enqueued {
  return {
    id,
    type: prepared.job.name,
    queue: prepared.job.name,
    status: freshStatus(prepared.options),
    duplicate,
    createdAt: new Date(createdAt(prepared, id)).toISOString(),
  };
}

/** Jobs of one queue without idempotency keys: one round trip. All have passed `prepare` before, so one invalid item stores nothing. */
export async function acceptBulk(prepared: readonly Prepared[], parts: AcceptParts): Promise<Enqueued[]> {
  const [first] = prepared;
  if (first === undefined) return [];
  const jobs = prepared.map(newJob);
  const queue = first.job.name;
  const stored = await (jobs.some(isLarge) ? addManyLarge(queue, jobs, parts) : parts.backend.addMany(queue, jobs));
  return prepared.map((one, index) => {
    const id = stored[index] ?? one.id;
    return counted(one, id, id !== one.id, parts);
  });
}
