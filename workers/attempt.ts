/**
 * One attempt: parse > admit > run > time out > decide > report, over one claim. It knows no queue: `worker.ts` brings
 * the claim and carries the outcome back, `testing.ts` does the same without a store.
 */

import type { RecordStore } from '../backends/backend.ts';
import type { InterruptionCause } from '../backends/run-record.ts';
import type { Job } from '../jobs/define.ts';
import { giveUp, JobError, retry } from '../jobs/errors.ts';
import { type Admission, admitAgain, admitFresh } from './admit.ts';
import type { Claim } from './claim.ts';
import { decide, type Outcome } from './decide.ts';
import type { Interruptions } from './interruptions.ts';
import type { AttemptLimits } from './limits.ts';
import type { Answer, Running } from './running.ts';
import type { SkipReason } from './slot-rules.ts';
import type { Slots } from './slots.ts';

/** What `decide()` made of an attempt, and the two ends that are not its business. */
export type AttemptOutcome =
  | Outcome
  | { readonly state: 'cancelled' }
  | { readonly state: 'interrupted'; readonly cause: InterruptionCause };

/** An attempt that has ended. `error` is there for retry, later and dead; `result` for done. */
export interface Ended {
  readonly outcome: AttemptOutcome;
  readonly result?: unknown;
  readonly error?: Error;
  /** A tick of a schedule that was not run, and why; the outcome is done. */
  readonly skipped?: SkipReason;
  /** From admission to answer; 0 when it was not admitted. */
  readonly durationMs: number;
}

export interface AttemptParts {
  readonly job: Job;
  readonly records: RecordStore;
  readonly interruptions: Interruptions;
  /** Absent where nothing is scheduled: a job run without a queue. */
  readonly slots?: Pick<Slots, 'admit'>;
  /** Why a job of the tenant is put off now. Absent where no tenant can be paused: a job run without a queue. */
  readonly refusal?: ((tenant: string) => JobError | undefined) | undefined;
  /** Absent for a type without limits of its tenants or keys. */
  readonly limits?: Pick<AttemptLimits, 'enter'> | undefined;
  /** Runs the handler for this claim; `alone` = in a child of its own, whatever the policy says. Rejects with what the handler threw. */
  readonly run: (running: Running, alone: boolean) => Promise<unknown>;
  /** Epoch ms. */
  readonly now: () => number;
  readonly random: () => number;
}

/** How long an attempt past its time limit may take to give up its resources; its answer is refused in any case. */
const timeoutGraceMs = 1_000;
/** The pool kills a child at the same moments; this much later the worker stops waiting for the pool. */
const poolSlackMs = 1_500;

/** Never rejects with what a handler threw: that is in `error`. Rejects only when the store failed before the handler began. */
export async function attempt(running: Running, parts: AttemptParts): Promise<Ended> {
  const claim = running.claim;
  const now = parts.now();
  const admitted: Admission = claim.isFirst
    ? admitFresh(claim, parts.job.policy, now)
    : await admitAgain(claim, parts.job.policy, now, parts);
  const refusal = admitted.state === 'run' ? parts.refusal?.(claim.tenant) : undefined;
  if (refusal !== undefined) return { ...judge(refusal, claim, parts), durationMs: 0 };
  const admission =
    claim.slot !== undefined && admitted.state === 'run' && parts.slots !== undefined
      ? await parts.slots.admit(claim, claim.slot, admitted)
      : admitted;
  if (admission.state === 'skipped')
    return {
      outcome: { state: 'done' },
      result: { $skipped: admission.reason },
      skipped: admission.reason,
      durationMs: 0,
    };
  if (admission.state === 'cancelled') return { outcome: { state: 'cancelled' }, durationMs: 0 };
  if (admission.state === 'refused') return { ...judge(admission.error, claim, parts), durationMs: 0 };
  const place = parts.limits === undefined ? undefined : await parts.limits.enter(claim);
  if (place instanceof JobError) return { ...judge(place, claim, parts), durationMs: 0 };
  try {
    // Cancelled or shut down while it was being admitted: the handler is not even started.
    if (running.aborted !== undefined)
      return { ...(await verdict({ state: 'left' }, running, false, parts)), durationMs: 0 };
    const inChild = admission.alone || parts.job.policy.isolation === 'child';
    const answer = await running.answer(
      parts.run(running, admission.alone),
      parts.job.policy.timeoutMs,
      timeoutGraceMs + (inChild ? poolSlackMs : 0),
    );
    // The usual end, without the detour of a promise.
    if (answer.state === 'result' && running.aborted === undefined)
      return { outcome: { state: 'done' }, result: answer.result, durationMs: parts.now() - now };
    const ended = await verdict(answer, running, inChild, parts);
    return { ...ended, durationMs: parts.now() - now };
  } finally {
    if (place !== undefined) await place.leave(running.aborted === 'LEASE_LOST');
  }
}

type Verdict = Omit<Ended, 'durationMs'>;

/** Answer × reason of an abort → outcome. A late result is refused, except at shutdown, where it counts within the grace. */
export async function verdict(
  answer: Answer,
  running: Pick<Running, 'aborted' | 'claim'>,
  inChild: boolean,
  parts: Pick<AttemptParts, 'interruptions' | 'job' | 'random'>,
): Promise<Verdict> {
  const claim = running.claim;
  switch (running.aborted) {
    case 'CANCELLED':
      return { outcome: { state: 'cancelled' } };
    case 'LEASE_LOST':
      return { outcome: { state: 'interrupted', cause: 'lease' } };
    case 'SHUTDOWN':
      return answer.state === 'result'
        ? { outcome: { state: 'done' }, result: answer.result }
        : { outcome: { state: 'interrupted', cause: 'deploy' } };
    case 'TIMED_OUT':
      return judge(await timedOut(answer, claim, inChild, parts), claim, parts);
    case undefined:
      if (answer.state === 'result') return { outcome: { state: 'done' }, result: answer.result };
      return judge(await failureOf(answer, claim, inChild, parts), claim, parts);
  }
}

async function timedOut(
  answer: Answer,
  claim: Claim,
  inChild: boolean,
  parts: Pick<AttemptParts, 'interruptions' | 'job'>,
): Promise<JobError> {
  const { isolation, timeoutMs } = parts.job.policy;
  const message = `The handler was still running at its time limit of ${timeoutMs} ms.`;
  if (!inChild) return retry('TIMED_OUT', message);
  const said = answer.state === 'error' ? answer.error : undefined;
  return parts.interruptions.died(
    claim,
    isDeath(said) ? said : giveUp('SANDBOX_TIMEOUT', message),
    isolation === 'child',
  );
}

async function failureOf(
  answer: Exclude<Answer, { state: 'result' }>,
  claim: Claim,
  inChild: boolean,
  parts: Pick<AttemptParts, 'interruptions' | 'job'>,
): Promise<Error> {
  // A handler may throw anything, `undefined` too, which decide() would read as success.
  const thrown = answer.state === 'left' ? new Error('The attempt was left without a reason.') : answer.error;
  const error =
    thrown instanceof Error ? thrown : new Error(`The handler threw ${describe(thrown)}, expected an Error.`);
  if (inChild && isDeath(error)) return parts.interruptions.died(claim, error, parts.job.policy.isolation === 'child');
  return error;
}

/**
 * How the pool says that a child ended without an answer of its own; a child cannot say it itself. With the verdict
 * `later` no child was ready: the job has not run, so nothing is held against it.
 */
function isDeath(error: unknown): error is JobError {
  return error instanceof JobError && error.code.startsWith('SANDBOX_') && error.verdict.kind !== 'later';
}

function describe(thrown: unknown): string {
  return typeof thrown === 'string' ? `the text "${thrown.slice(0, 200)}"` : String(thrown);
}

function judge(error: Error, claim: Claim, parts: Pick<AttemptParts, 'job' | 'random'>): Verdict {
  const limits = { attempts: claim.maxAttempts, backoff: parts.job.policy.backoff };
  return { outcome: decide(error, claim.attempt, limits, parts.random), error };
}
