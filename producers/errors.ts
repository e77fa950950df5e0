/** What a producer meets when a job is not stored. Codes are stable; docs/errors.md lists them with their HTTP status. */
import type { z } from 'zod';
import type { Taken } from '../backends/limiter.ts';

/** Every code of the API and the client: its HTTP status, its title, and what to do. */
export const producerCodes = {
  CONFLICT: { status: 409, title: 'Conflict', help: 'The job runs, has ended, or a newer one took its place.' },
  FORBIDDEN: { status: 403, title: 'Forbidden', help: 'The key lacks the scope for this route.' },
  IDEMPOTENCY_MISMATCH: {
    status: 422,
    title: 'Idempotency key used with another request',
    help: 'The key was used in the last 24 hours with another body. Use a new key, or send the first body again.',
  },
  INTERNAL: { status: 500, title: 'Internal error', help: 'A bug or an outage of ours; the log has the request id.' },
  INVALID: { status: 400, title: 'Invalid request', help: 'A value is of the wrong form; `errors` says which.' },
  KEY_MISSING: {
    status: 503,
    title: 'Encryption key missing',
    help: 'The job type has secret fields and the server has no key for them: set ENCRYPTION_KEY (see docs/configuration.md).',
  },
  LIMITED: {
    status: 429,
    title: 'Too many requests',
    help: 'A rate is used up; wait for Retry-After seconds. With status 503 the store or the queue is too full to take more: the same.',
  },
  MALFORMED: { status: 400, title: 'Malformed request', help: 'The body is not JSON as RFC 8259 and we read it.' },
  METHOD_NOT_ALLOWED: { status: 405, title: 'Method not allowed', help: 'The Allow header lists the methods.' },
  NOT_FOUND: { status: 404, title: 'Not found', help: 'It does not exist, has expired, or belongs to somebody else.' },
  RANGE: { status: 416, title: 'Range not satisfiable', help: 'The range starts behind the end of the object.' },
  TIMEOUT: { status: 408, title: 'Request too slow', help: 'The body did not arrive in time.' },
  TOO_DEEP: { status: 400, title: 'Too deep', help: 'At most 32 levels and 1,000 keys and elements.' },
  TOO_LARGE: {
    status: 413,
    title: 'Too large',
    help: 'At most 256 KiB; upload large inputs with POST /v1/uploads. The client library takes 10 MiB with STORAGE_URL.',
  },
  TYPE_UNAVAILABLE: {
    status: 503,
    title: 'Job type unavailable',
    help: 'No worker of the fleet can run the type, or the part of it that the payload needs, now; `detail` says what is missing. Nothing was stored.',
  },
  UNAUTHENTICATED: { status: 401, title: 'Unauthenticated', help: 'Send "Authorization: Bearer <key>".' },
  UNAVAILABLE: {
    status: 503,
    title: 'Store unavailable',
    help: 'The store does not answer; try again with the same idempotency key.',
  },
  UNSUPPORTED: {
    status: 501,
    title: 'Not on this store',
    help: 'The store cannot do it: a Redis Cluster keeps no flows.',
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    title: 'Unsupported media type',
    help: 'Send application/json, uncompressed.',
  },
} as const satisfies Record<string, { readonly status: number; readonly title: string; readonly help: string }>;

export type ProducerCode = keyof typeof producerCodes;

/** One thing that is wrong, and where: `payload.to`, `options.delayMs`, `query.limit`. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
}

/** The call had no effect: nothing was stored or changed. Match on `code`. */
export class ProducerError extends Error {
  override readonly name = 'ProducerError';
  readonly code: ProducerCode;
  readonly errors: readonly FieldError[];
  constructor(code: ProducerCode, message: string, errors: readonly FieldError[] = [], options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.errors = errors;
  }
}

/**
 * `LIMITED`: a rate is used up (`status` 429), or the store or the queue is too full (503). Nothing was stored; the same
 * call may succeed after `retryAfterMs`.
 */
export class LimitedError extends ProducerError {
  readonly retryAfterMs: number;
  readonly status: 429 | 503;
  /** The rate that is used up; undefined with 503. */
  readonly rate: Taken | undefined;
  constructor(
    message: string,
    facts: { readonly status: 429 | 503; readonly retryAfterMs: number; readonly rate?: Taken },
  ) {
    super('LIMITED', message);
    this.retryAfterMs = facts.retryAfterMs;
    this.status = facts.status;
    this.rate = facts.rate;
  }
}

/** A burst may fill Redis between two looks at its memory: what it refuses then is the same refusal. Other errors stay. */
export function asRefusal(error: unknown): unknown {
  if (!(error instanceof Error && error.message.startsWith('OOM command not allowed'))) return error;
  return new LimitedError('The store has used all of its memory; nothing is added until there is room.', {
    status: 503,
    retryAfterMs: 5_000,
  });
}

export function unknownType(
  type: string,
  known: { readonly jobs: ReadonlyMap<string, unknown> },
  where = '',
): ProducerError {
  const message = `There is no job type "${type.slice(0, 64)}"; known: ${[...known.jobs.keys()].join(', ')}`;
  return new ProducerError('INVALID', `${where === '' ? '' : `${where}type: `}${message}`, [
    { path: `${where}type`, message },
  ]);
}

/** At most this many entries: a body can be wrong in a thousand places. */
const errorsShown = 20;

/** What zod found, with `where` in front of each path. The values themselves never appear. */
function fieldErrors(error: z.ZodError, where: string): FieldError[] {
  const found = error.issues.flatMap((issue) => {
    const path = [where, ...issue.path.map(String)].filter((part) => part !== '').join('.');
    if (issue.code !== 'unrecognized_keys') return [{ path, message: issue.message }];
    return issue.keys.map((key) => ({ path: `${path}.${key.slice(0, 64)}`, message: 'Unknown field' }));
  });
  return found.slice(0, errorsShown);
}

/** Parses or throws `INVALID` with every problem. */
export function parseOrRefuse<S extends z.ZodType>(schema: S, value: unknown, where: string): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const errors = fieldErrors(parsed.error, where);
  const [first] = errors;
  throw new ProducerError('INVALID', first === undefined ? 'Invalid' : `${first.path}: ${first.message}`, errors);
}
