/** How one job is accepted: parse, check what no store can hold, pass the gate, claim the idempotency key, add. */
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import type { Taken } from '../backends/limiter.ts';
import { portableJson } from '../backends/portable.ts';
import type { TenantReader } from '../backends/tenants.ts';
import type { Enqueued, EnqueueOptions, Job } from '../jobs/define.ts';
import { levels } from '../jobs/policy.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { ObjectStore } from '../runtime/object-store.ts';
import type { SecretBox } from '../runtime/secret-box.ts';
import { fingerprint } from './canonical.ts';
import { LimitedError, ProducerError, parseOrRefuse } from './errors.ts';
import type { Gate } from './gate.ts';
import { claimKey, replayedId } from './idempotency.ts';
import { readId } from './ids.ts';
import { type PreparedSecrets, prepareSecrets } from './job-secrets.ts';
import { hashedLimitKey, newJob } from './new-job.ts';
import { addLarge, isLarge } from './offload.ts';

const dayMs = 86_400_000;

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
  level: z
    .enum(levels)
    .optional()
    .describe('How urgent; default normal. Orders the queue of types that are shared fairly; low is refused first.'),
  startBy: z.iso.datetime({ offset: true }).optional().describe('Not started by then: dead letter EXPIRED. RFC 3339.'),
});

const ownOptions = enqueueOptions.extend({
  idempotencyKey: z
    .string()
    .min(1)
    .max(255)
    .regex(/^[^\p{Cc}\p{Cs}]+$/u, 'expected no control characters')
    .optional(),
  idempotencyTtlMs: z
    .int()
    .min(60_000)
    .max(45 * dayMs)
    .optional(),
  tenant: z.string().regex(tenantRule, 'expected lower-case letters, digits, - and _, at most 64').optional(),
  repeat: z.enum(['same', 'any']).optional(),
});

/** A job that passed every check and waits to be stored. */
export interface Prepared {
  readonly job: Job;
  readonly id: string;
  readonly payload: object;
  /** The payload as it is stored under this id. */
  readonly json: string;
  /** Of a type with secret fields. */
  readonly secrets: PreparedSecrets | undefined;
  readonly options: z.output<typeof ownOptions>;
  readonly tenant: string;
  /** A run of its type's schedule on demand. */
  readonly isScheduled: boolean;
  /** What the limits of its type count it by, hashed. */
  readonly limitKey: string | undefined;
  readonly acceptedAt: number;
  /** Of what the producer sent, before defaults: a deploy that changes a default must not break a repeat. */
  readonly fingerprint: string;
}

export interface AcceptParts {
  readonly backend: Backend;
  readonly gate: Gate;
  /** Asked where a tenant has a share of its own. */
  readonly tenants: TenantReader;
  readonly metrics?: Pick<Metrics, 'jobsEnqueued'> | undefined;
  /** Hears of the rate that a job was counted by. */
  readonly onRate?: ((rate: Taken) => void) | undefined;
  /** Where payloads over 256 KiB go; needed only when `prepare` let one pass. */
  readonly objects?: ObjectStore | undefined;
}

/** Most jobs come without options. */
export const none: EnqueueOptions = Object.freeze({});

/** What the jobs of one call have in common. */
export interface PrepareParts {
  readonly now: number;
  /** Bounds each payload. */
  readonly limitBytes: number;
  readonly secrets: SecretBox | undefined;
  /** Default false. */
  readonly isScheduled?: boolean;
}

/** Throws `INVALID`, `TOO_LARGE`, `TOO_DEEP` or `KEY_MISSING` with the path of each problem; touches no store. `where` is put before each path. */
export function prepare(
  job: Job,
  id: string,
  input: unknown,
  options: EnqueueOptions,
  { now, limitBytes, secrets: box, isScheduled = false }: PrepareParts,
  where = '',
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
  const { idempotencyKey: _key, idempotencyTtlMs: _ttl, repeat: _repeat, tenant = '-', ...rest } = checked;
  const request = () => ({ type: job.name, payload: input, options: rest });
  const secrets = prepareSecrets(job, box, { tenant, json, request });
  const sealed = secrets?.seal(id);
  if (sealed !== undefined && Buffer.byteLength(sealed) > limitBytes)
    throw tooLarge(
      `The payload has ${Buffer.byteLength(sealed)} bytes once it is encrypted, at most ${limitBytes}`,
      where,
    );
  return {
    job,
    id,
    // What is portable is a plain object.
    payload: Object(payload),
    json: sealed ?? json,
    secrets,
    options: checked,
    tenant,
    isScheduled,
    limitKey: hashedLimitKey(job, payload, secrets?.hash),
    acceptedAt: now,
    fingerprint: checked.idempotencyKey === undefined ? '' : (secrets?.fingerprint ?? fingerprint)(request()),
  };
}

function tooLarge(message: string, where: string): ProducerError {
  return new ProducerError('TOO_LARGE', message, [{ path: `${where}payload`, message }]);
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

/** The state before any worker saw the job. */
const freshStatus = (options: { readonly delayMs?: number | undefined }): string =>
  (options.delayMs ?? 0) > 0 ? 'delayed' : 'waiting';

/** Stores one job, or throws. `status` in the answer is the fresh one; a duplicate's current state is asked by the caller. */
export function accept(prepared: Prepared, route: string, parts: AcceptParts): Promise<Enqueued> {
  const refusal = parts.gate.refusal([prepared]);
  return refusal === undefined ? admitted(prepared, route, parts) : held(prepared, route, parts, refusal);
}

function admitted(prepared: Prepared, route: string, parts: AcceptParts): Promise<Enqueued> {
  return prepared.options.idempotencyKey === undefined
    ? add(prepared, prepared.id, false, parts)
    : acceptOnce(prepared, route, parts);
}

/** A repeat of a job that was stored is answered however full the store is. */
async function held(
  prepared: Prepared,
  route: string,
  parts: AcceptParts,
  refusal: ReturnType<Gate['refusal']>,
): Promise<Enqueued> {
  const refused = await refusal;
  if (refused === undefined) return admitted(prepared, route, parts);
  const known =
    prepared.options.idempotencyKey === undefined
      ? undefined
      : await replayedId(parts.backend.records, prepared, route);
  if (known === undefined) throw refused;
  return answer(prepared, known, true);
}

async function acceptOnce(prepared: Prepared, route: string, parts: AcceptParts): Promise<Enqueued> {
  const claimed = await claimKey(parts.backend.records, prepared, route);
  if (claimed.isStored) return answer(prepared, claimed.id, true);
  let added: Enqueued;
  try {
    added = await add(prepared, claimed.id, !claimed.isNew, parts);
  } catch (error) {
    // What was refused for a rate is stored nowhere: its key must not pile up beside it.
    if (error instanceof LimitedError && claimed.isNew) await claimed.forget();
    throw error;
  }
  await claimed.confirm(added.id);
  return added;
}

async function add(prepared: Prepared, id: string, isRepeat: boolean, parts: AcceptParts): Promise<Enqueued> {
  const counting = parts.gate.count([prepared]);
  if (counting !== undefined) {
    const rate = await counting;
    parts.onRate?.(rate);
  }
  const own = withId(prepared, id);
  const queue = prepared.job.name;
  const weight = weightOf(own, parts);
  const job = newJob(own, typeof weight === 'number' ? weight : await weight);
  const stored = await (isLarge(job) ? addLarge(queue, job, parts) : parts.backend.add(queue, job));
  return counted(prepared, stored, isRepeat || stored !== id, parts);
}

/** A promise only where the store has to be asked: once in five seconds for a tenant of a fair type. */
export function weightOf(
  { job, tenant }: Prepared,
  { tenants }: Pick<AcceptParts, 'tenants'>,
): number | Promise<number> {
  if (job.policy.order !== 'fair') return 1;
  const agreed = tenants.of(tenant);
  return agreed instanceof Promise ? agreed.then(({ weight }) => weight) : agreed.weight;
}

/** As an earlier call made it: its id tells when that was. */
export function withId(prepared: Prepared, id: string): Prepared {
  if (id === prepared.id) return prepared;
  const { secrets } = prepared;
  return {
    ...prepared,
    id,
    acceptedAt: createdAt(prepared, id),
    // What is encrypted opens for its own job only.
    ...(secrets === undefined ? {} : { json: secrets.seal(id) }),
  };
}

export function counted(
  prepared: Prepared,
  id: string,
  duplicate: boolean,
  parts: Pick<AcceptParts, 'metrics'>,
): Enqueued {
  if (!duplicate) parts.metrics?.jobsEnqueued.inc({ queue: prepared.job.name });
  return answer(prepared, id, duplicate);
}

/** An id of an earlier call tells when its job was accepted. */
function createdAt(prepared: Prepared, id: string): number {
  return id === prepared.id ? prepared.acceptedAt : (readId(id)?.createdAtMs ?? prepared.acceptedAt);
}

export function answer(prepared: Prepared, id: string, duplicate: boolean): Enqueued {
  return {
    id,
    type: prepared.job.name,
    queue: prepared.job.name,
    status: freshStatus(prepared.options),
    duplicate,
    createdAt: new Date(createdAt(prepared, id)).toISOString(),
  };
}
