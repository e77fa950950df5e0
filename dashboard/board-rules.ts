/** What the board may do for whom, and what it may store. Asked before every change; a refusal names the reason. */
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import type { DeadLetters } from '../backends/dead-letters.ts';
import { tenantOf } from '../backends/find.ts';
import type { StoredSecrets } from '../backends/redrive.ts';
import type { Job } from '../jobs/define.ts';
import type { Registry } from '../jobs/registry.ts';
import { ProducerError } from '../producers/client.ts';
import { maskedPath, restoreMasked } from './masked-edit.ts';
import { mayAs, type Role, type User } from './users.ts';

/** What the board's own pages understand: a headline they translate, and a sentence they show as it is. */
export interface Refusal {
  readonly status: 400 | 403 | 404 | 409;
  readonly error: { readonly key: string; readonly options?: Readonly<Record<string, string>> };
  readonly message: string;
}

export interface RuleParts {
  readonly backend: Pick<Backend, 'queue'>;
  readonly registry: Registry;
  readonly deadLetters: Pick<DeadLetters, 'redrive'>;
  /** Undefined for a type without secret fields. */
  readonly secretsOf: (
    job: Job | undefined,
    owner: { readonly id: string; readonly tenant: string },
  ) => StoredSecrets | undefined;
}

/** Where a change goes: the board's own route below `/api/queues/:queueName`, such as `/:jobId/retry`. */
export interface Change {
  readonly route: string;
  readonly queue: string | undefined;
  readonly jobId: string | undefined;
  readonly status: string | undefined;
}

const params = z.object({
  queueName: z.string().optional(),
  jobId: z.string().optional(),
  queueStatus: z.string().optional(),
});

export function changeOf(request: FastifyRequest): Change {
  const { queueName, jobId, queueStatus } = params.parse(request.params ?? {});
  const route = (request.routeOptions.url ?? '').replace(/^.*\/api\/queues(?:\/:queueName)?/, '');
  return { route, queue: queueName, jobId, status: queueStatus };
}

const forAdmins = new Set(['/empty', '/obliterate']);

/** Undefined when the user may. */
export function roleRefusal(change: Change, user: User): Refusal | undefined {
  const needed: Role = forAdmins.has(change.route) ? 'admin' : 'operator';
  if (mayAs(user.role, needed)) return undefined;
  const message = `This needs the role ${needed}; ${user.name} is a ${user.role}.`;
  return { status: 403, error: { key: 'ERRORS.FORBIDDEN' }, message };
}

type Checked = Refusal | { readonly body: unknown } | undefined;

/** A refusal, or the body to go on with (an edit whose masked values were put back), or undefined: go on as it is. */
export async function contentCheck(change: Change, body: unknown, parts: RuleParts): Promise<Checked> {
  const job = parts.registry.jobs.get(change.queue ?? '');
  if (job === undefined) return undefined;
  switch (change.route) {
    case '/add':
      return checkAdd(job, body);
    case '/:jobId/update-data':
      return checkEdit(job, change.jobId ?? '', body, parts);
    case '/:jobId/retry':
      return checkRetry(job, change.jobId ?? '', parts);
    case '/clean/:queueStatus':
      return change.status === 'active'
        ? bad('ERRORS.JOB_IS_ACTIVE', 'Running jobs cannot be removed; cancel them with DELETE /v1/jobs/{id}.')
        : undefined;
    case '/retry/:queueStatus':
      return change.status === 'failed' ? undefined : notRetriable(change.status ?? '');
    case '/job-schedulers/:schedulerId':
    case '/job-schedulers/:schedulerId/remove':
      return declaredElsewhere;
    default:
      return undefined;
  }
}

const declaredElsewhere: Refusal = {
  status: 409,
  error: { key: 'ERRORS.FORBIDDEN' },
  message:
    'A schedule is declared in job.ts, and what is changed here would be put right again; pause it with jobfleet schedules pause.',
};

function bad(key: string, message: string, options: Readonly<Record<string, string>> = {}): Refusal {
  return { status: 400, error: { key, options }, message };
}

const notRetriable = (status: string) =>
  bad('ERRORS.STATUS_NOT_RETRIABLE', 'Only dead letters are retried; a completed job would replay its effects.', {
    status,
  });

const addBody = z.looseObject({
  name: z.string().optional(),
  data: z.unknown(),
  options: z
    .looseObject({
      delay: z
        .int()
        .min(0)
        .max(366 * 86_400_000)
        .optional(),
      attempts: z.int().min(1).max(100).optional(),
    })
    .nullish(),
});

function checkAdd(job: Job, body: unknown): Checked {
  // The board, and a proxy before it, would see what nobody is to read.
  if (job.secretFields.length > 0)
    return bad(
      'ERRORS.INVALID_REQUEST_BODY',
      `${job.name} has secret fields: add its jobs with the client library, POST /v1/jobs or jobfleet enqueue.`,
      { field: 'data' },
    );
  const parsed = addBody.safeParse(body);
  if (!parsed.success) return fieldRefusal('options', parsed.error);
  const { name = '', data } = parsed.data;
  // The board sends these when the field is left empty.
  if (!['', '__default__', job.name].includes(name))
    return bad('ERRORS.INVALID_REQUEST_BODY', `Leave the name empty: jobs of this queue are named ${job.name}.`, {
      field: 'name',
    });
  const refusal = payloadRefusal(job, data);
  return refusal ?? { body: { ...parsed.data, name: job.name, data } };
}

async function checkEdit(job: Job, id: string, body: unknown, { backend, secretsOf }: RuleParts): Promise<Checked> {
  const stored = await backend.queue(job.name).getJob(id);
  if (stored === undefined) return undefined;
  const given = z.looseObject({ jobData: z.unknown() }).safeParse(body);
  if (!given.success) return fieldRefusal('jobData', given.error);
  const restored = restoreMasked(given.data.jobData, stored.data);
  const secrets = secretsOf(job, { id, tenant: tenantOf(stored) });
  if (secrets === undefined) return payloadRefusal(job, restored) ?? { body: { jobData: restored } };
  try {
    const opened = secrets.open(restored);
    return payloadRefusal(job, opened) ?? { body: { jobData: secrets.seal(opened) } };
  } catch (error) {
    if (!(error instanceof ProducerError)) throw error;
    return { status: 409, error: { key: 'ERRORS.FORBIDDEN' }, message: error.message };
  }
}

function payloadRefusal(job: Job, data: unknown): Refusal | undefined {
  const masked = maskedPath(data);
  if (masked !== undefined)
    return bad('ERRORS.INVALID_REQUEST_BODY', `${masked} still holds masked text (***); write the real value.`, {
      field: masked,
    });
  const parsed = job.payload.safeParse(data);
  return parsed.success ? undefined : fieldRefusal('data', parsed.error);
}

function fieldRefusal(field: string, error: z.ZodError): Refusal {
  const said = error.issues.slice(0, 5).map(({ path, message }) => {
    const where = [field, ...path.map(String)].join('.');
    return `${where}: ${message}`;
  });
  return bad('ERRORS.INVALID_REQUEST_BODY', said.join('; '), { field });
}

async function checkRetry(job: Job, id: string, { backend, deadLetters }: RuleParts): Promise<Checked> {
  const stored = await backend.queue(job.name).getJob(id);
  if (stored === undefined) return undefined;
  const state = await stored.getState();
  if (state !== 'failed') return notRetriable(state);
  const would = await deadLetters.redrive(job.name, id, { dryRun: true });
  if (would.state === 'redriven') return undefined;
  return { status: 409, error: { key: 'ERRORS.JOB_NOT_RETRIABLE', options: { state } }, message: would.message };
}
