/**
 * How a handler says what should become of a failed attempt. Throwing anything else is a retry with the code
 * `UNEXPECTED`. Codes are stable: dead letters are grouped, filtered and alerted on by them, and docs/errors.md lists
 * them all (docs.test.ts holds both equal).
 */

/** What should become of the job: `dead` now, `later` without spending an attempt, or `retry` with a floor under the backoff. */
export type Verdict =
  | { readonly kind: 'dead' }
  | { readonly kind: 'later'; readonly delayMs: number }
  | { readonly kind: 'retry'; readonly notBeforeMs: number };

export class JobError extends Error {
  override readonly name = 'JobError';
  readonly code: string;
  readonly verdict: Verdict;
  /** Of an effect that failed: `none` = it has certainly not happened, so that `ctx.once` forgets that it was begun. */
  readonly effect: 'none' | 'unknown';
  constructor(
    code: string,
    message: string,
    verdict: Verdict,
    options?: ErrorOptions & { readonly effect?: 'none' | 'unknown' },
  ) {
    super(message, options);
    this.code = code;
    this.verdict = verdict;
    this.effect = options?.effect ?? 'unknown';
  }
}

/** Dead letter at once: trying again cannot help (bad input, forbidden target, limit). */
export function giveUp(code: string, message: string, options?: ErrorOptions): JobError {
  return new JobError(code, message, { kind: 'dead' }, options);
}

/** Run again after `delayMs` (at least 0) without spending an attempt: rate limit, quota, open breaker. Bounded by `policy.maxAgeMs`. */
export function tryAgainIn(delayMs: number, code: string, message: string, options?: ErrorOptions): JobError {
  return new JobError(code, message, { kind: 'later', delayMs: Math.max(0, Math.round(delayMs)) }, options);
}

/** Spend an attempt, but wait at least `notBeforeMs` (a Retry-After) before the next one. */
export function retry(code: string, message: string, notBeforeMs = 0, options?: ErrorOptions): JobError {
  return new JobError(code, message, { kind: 'retry', notBeforeMs: Math.max(0, Math.round(notBeforeMs)) }, options);
}

/**
 * The same error, saying that the effect it stands for has certainly not happened (refused, never connected): thrown out
 * of `ctx.once`, even an effect that is never repeated on suspicion is tried again.
 */
export function nothingHappened(error: JobError): JobError {
  const { code, message, verdict, cause, stack } = error;
  const marked = new JobError(code, message, verdict, { ...(cause === undefined ? {} : { cause }), effect: 'none' });
  if (stack !== undefined) marked.stack = stack;
  return marked;
}

/** Every code a dead letter can carry that is ours, with what it means and what to do. Handlers may add `HTTP_<status>`. */
export const jobCodes = {
  BAD_SOURCE:
    'The input is corrupt, truncated, encrypted, empty, or not of the type it claims. Repair the file; redriving the same bytes fails again.',
  CANCELLED: 'Cancelled on request. Not a dead letter: the job is removed and a record answers for 24 hours.',
  CHANNEL_MISSING:
    'No worker has the variables of this channel of notifications; the message names them. Put off without an attempt spent until one has. A dead letter only when maxAgeMs ran out meanwhile.',
  CHILD_FAILED:
    'A child of the flow is a dead letter, so its parent did not run. Redrive the child, then the parent; or say onFailure: ignore for such children.',
  DEPENDENCY_DOWN:
    'A server this job needs failed five times within 30 seconds, so nobody asks it for a while; put off without an attempt spent. A dead letter only when maxAgeMs ran out meanwhile. See GET /v1/circuit-breakers.',
  DOCUMENTS_MISSING:
    'The job needs documents and this worker has no store for them: set MONGODB_URL (documents are kept by PostgreSQL only when the queue is), then redrive.',
  DOCUMENT_REFUSED:
    'A collection, filter, sort or document that no store takes: undeclared, too large, or no JSON. The message says what was expected.',
  EXPIRED: 'The start-by time passed, or the job is older than maxAgeMs. Redrive it if it is still wanted.',
  FORBIDDEN_TARGET: 'An address, path, bucket or foreign object the job may not read. Security event.',
  LIMIT_EXCEEDED: 'Pixels, duration, streams, frames or bytes over the limit of the job type.',
  LIMITED:
    'Its tenant or limit key runs as much as the type allows; put off without an attempt spent. A dead letter only when maxAgeMs ran out meanwhile.',
  LOCKED: 'A lock of another party was held; retried.',
  MALFORMED: 'The stored job is not readable JSON.',
  NETWORK: 'A connection failed or timed out; retried.',
  NO_SPACE: 'The disk was full; retried.',
  PAUSED: 'The tenant is paused by an operator; the job is put off and spends no attempt. See GET /v1/queues.',
  PAYLOAD_INVALID:
    'The payload does not match the schema of the job type. Fix the producer, then redrive with a patch or discard.',
  PAYLOAD_LOST:
    'The payload is kept in the object store (over 256 KiB) and is missing there or was altered. Restore the object and redrive, or enqueue it again and discard.',
  QUERY_TIMEOUT:
    'A query over documents took longer than 3 s (one document), 5 s (a page) or 10 s (many); retried. Declare an index for its fields, or relieve the server.',
  QUIET_HOURS: 'The user is not to be disturbed now; put off to the end of the quiet hours without an attempt spent.',
  RESULT_INVALID:
    'The handler returned something its own result schema refuses, no JSON, or more than 10 MiB: a bug of the handler. Large outputs are files.',
  RESULT_LOST:
    'A result kept in the object store (over 256 KiB) is missing there or was altered: of a completed job, which stays completed, or of a child that a parent reads. Restore the object and redrive the parent, or enqueue the job again.',
  SANDBOX_CRASH:
    'The child process ended without an answer, broke the protocol, flooded its output or started too many processes. Run again once, alone.',
  SANDBOX_OOM: 'The child process went over its memory limit. Run again once, alone.',
  SANDBOX_TIMEOUT: 'The child process was killed at its time limit, CPU limit, or for silence. Run again once, alone.',
  SECRET_UNREADABLE:
    'A secret field of the payload does not open: its key is not in the ring of the worker (ENCRYPTION_KEYS) or has another value, or it was altered. Put the key back and redrive.',
  TIMED_OUT: 'The handler was still running in process at its time limit; retried.',
  UNEXPECTED: 'The handler threw something that is no JobError; retried.',
  UNKNOWN_JOB: 'No job type of that name in this release. Deploy workers before producers, then redrive.',
} as const satisfies Record<string, string>;
