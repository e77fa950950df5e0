/**
 * One queue = one BullMQ Worker: the whole bridge. `attempt()` decides once, the verdict travels in the error. Between
 * claim and finish it adds no round trip for a job that is fresh and asks for nothing.
 */
import { DelayedError, type Job as StoredJob, UnrecoverableError, WaitingError, type Worker } from 'bullmq';
import type { Backend, ClaimWatch } from '../backends/backend.ts';
import type { Job } from '../jobs/define.ts';
import type { JobError } from '../jobs/errors.ts';
import { type AttemptParts, attempt, type Ended } from './attempt.ts';
import { type Claim, parseClaim } from './claim.ts';
import type { StoreClock } from './clock.ts';
import { AttemptFailed } from './failure.ts';
import { type AttemptSink, createHandling, type Handling, type HandlingParts } from './handling.ts';
import type { Interruptions } from './interruptions.ts';
import type { Leases } from './leases.ts';
import { type AttemptLimits, openLimits } from './limits.ts';
import { type PassedTags, passTags } from './passed-tags.ts';
import { createRunning, type Running } from './running.ts';
import { readChildJobs } from './services/children.ts';
import { logLinesKept } from './services/notes.ts';
import type { ServiceParts } from './services/services.ts';
import type { Slots } from './slots.ts';

/** A claim in our hands, from its start to its outcome. */
export interface Held {
  readonly running: Running;
  readonly token: string;
  readonly graceMs: number;
}

/** What one queue's worker needs; the fleet makes it. */
export interface QueueParts {
  readonly job: Job;
  readonly backend: Pick<Backend, 'handBack' | 'limiter' | 'records' | 'tags' | 'worker'>;
  readonly concurrency: number;
  readonly leaseMs: number;
  readonly leases: Pick<Leases, 'take' | 'release'>;
  readonly handling: HandlingParts;
  readonly interruptions: Interruptions;
  readonly slots: Slots;
  /** Everything this process holds; the worker adds and removes its own. */
  readonly held: Set<Held>;
  /** The store's clock, as this process knows it. */
  readonly clock: Pick<StoreClock, 'isRight' | 'now' | 'offMs'>;
  /** Why a job of the tenant is put off now. */
  readonly refusal: (tenant: string) => JobError | undefined;
  /** True from the first moment of a shutdown on. */
  readonly isStopping: () => boolean;
  readonly onEnded: (claim: Claim, ended: Ended) => void;
  readonly onHandedBack: (claim: Claim) => unknown;
  /** The store did not take what is said to it beside the jobs; it is said again. */
  readonly onStoreError: (error: unknown) => void;
  /** Something beside the job went wrong; the job's outcome stands. */
  readonly onTrouble: (claim: Claim, error: unknown, doing: string) => void;
}

/** Not claiming yet: `worker.run()` begins. */
export function openQueueWorker(parts: QueueParts): { readonly worker: Worker; readonly watch: ClaimWatch } {
  const sharing = openSharing(parts);
  const opened = parts.backend.worker(
    parts.job.name,
    (stored, token) => {
      sharing.passed?.started(stored.priority);
      return processClaim(stored, token ?? '', parts, sharing.limits);
    },
    {
      clock: parts.clock,
      concurrency: parts.concurrency,
      leaseMs: parts.leaseMs,
      backoff: (error) => (error instanceof AttemptFailed ? error.retryInMs : unbookedRetryMs),
    },
  );
  opened.worker.once('closed', () => {
    sharing.passed?.close();
    sharing.limits?.close();
  });
  return opened;
}

/** What jobs of tenants have to do with each other; nothing for a type that is first come, first served, and unlimited. */
function openSharing({ job, backend, leaseMs, onStoreError }: QueueParts): {
  readonly passed: PassedTags | undefined;
  readonly limits: AttemptLimits | undefined;
} {
  return {
    passed: job.policy.order === 'fair' ? passTags(backend.tags, job.name, onStoreError) : undefined,
    limits: openLimits({ job, backend, leaseMs, random: Math.random, onError: onStoreError }),
  };
}

/** An error that is no verdict of ours reaches BullMQ only when the store failed in between. */
const unbookedRetryMs = 1_000;

async function processClaim(
  stored: StoredJob,
  token: string,
  parts: QueueParts,
  limits: AttemptLimits | undefined,
): Promise<unknown> {
  const claim = parseClaim(stored, parts.job);
  // First of all: an open blocking fetch claims one more job after the worker was paused, even the one just handed back.
  // No run began, so it is no interruption either.
  if (parts.isStopping()) return handBack(stored, token, claim, parts);
  const running = createRunning(claim);
  const held: Held = { running, token, graceMs: parts.job.policy.graceMs };
  const slot = claim.problem === undefined ? takeSlot(claim, token, parts) : undefined;
  parts.held.add(held);
  let ended: Ended;
  try {
    ended = await runClaim(stored, running, parts, limits);
  } catch (error) {
    // The store failed before the handler began: not the job's fault, no attempt spent.
    parts.onTrouble(claim, error, 'admit');
    await stored.moveToDelayed(Date.now() + unbookedRetryMs, token);
    throw new DelayedError();
  } finally {
    running.finish();
    parts.held.delete(held);
    if (slot !== undefined) parts.leases.release(slot);
  }
  parts.onEnded(claim, ended);
  return ended.outcome.state === 'done' ? ended.result : bookFailure(stored, token, claim, ended, parts);
}

function takeSlot(claim: Claim, token: string, parts: QueueParts): number {
  const { isolation, timeoutMs } = parts.job.policy;
  const deadlineAt = isolation === 'child' ? Number.POSITIVE_INFINITY : Date.now() + timeoutMs;
  return parts.leases.take(claim.queue, claim.id, token, deadlineAt);
}

async function runClaim(
  stored: StoredJob,
  running: Running,
  parts: QueueParts,
  limits: AttemptLimits | undefined,
): Promise<Ended> {
  let handling: Handling | undefined;
  const attemptParts: AttemptParts = {
    job: parts.job,
    records: parts.backend.records,
    interruptions: parts.interruptions,
    slots: parts.slots,
    limits,
    run: (current, alone) => {
      handling = createHandling(current, sinkOf(stored, parts.handling.services.objects), parts.handling);
      return handling.run(alone);
    },
    now: parts.clock.now,
    random: Math.random,
    refusal: parts.refusal,
  };
  const ended = await attempt(running, attemptParts);
  const { claim } = running;
  if (claim.slot !== undefined && ended.skipped === undefined) {
    try {
      await parts.slots.ended(claim, claim.slot, ended.outcome);
    } catch (error) {
      // The next tick looks at the job itself.
      parts.onTrouble(claim, error, 'note the end of a tick');
    }
  }
  if (handling?.isUsed === true) {
    try {
      await handling.close(ended.outcome.state === 'done');
    } catch (error) {
      parts.onTrouble(running.claim, error, 'clean up');
    }
  }
  return ended;
}

function sinkOf(stored: StoredJob, objects: ServiceParts['objects']): AttemptSink {
  return {
    children: () => readChildJobs(stored, objects),
    progress: (value) => stored.updateProgress(value),
    log: (line) => {
      stored.opts.keepLogs ??= logLinesKept;
      return stored.log(line);
    },
  };
}

/** Tells BullMQ what became of an attempt that is not done: by moving the job and throwing its signal, or by failing. */
async function bookFailure(
  stored: StoredJob,
  token: string,
  claim: Claim,
  ended: Ended,
  parts: QueueParts,
): Promise<unknown> {
  const { outcome } = ended;
  switch (outcome.state) {
    case 'done':
      return ended.result;
    case 'later':
      await stored.moveToDelayed(Date.now() + outcome.delayMs, token);
      throw new DelayedError();
    case 'interrupted':
      if (outcome.cause === 'lease') throw await lostLease(claim, parts);
      return interrupted(stored, token, claim, parts);
    case 'cancelled':
      // Removed in the step that ends it; its record answers for 24 hours.
      stored.opts.removeOnFail = true;
      throw new UnrecoverableError('CANCELLED: on request');
    case 'retry':
    case 'dead':
      await prepareFailure(stored, claim);
      throw new AttemptFailed(ended);
  }
}

/** Both at once: the job must be free before the platform kills, and what is written about it is for people. */
async function interrupted(stored: StoredJob, token: string, claim: Claim, parts: QueueParts): Promise<never> {
  const noted = noteInterruption(claim, 'deploy', parts);
  try {
    return await handBack(stored, token, claim, parts);
  } finally {
    await noted;
  }
}

/** Somebody else has the job: nothing is written in its name, only the interruption is noted. */
async function lostLease(claim: Claim, parts: QueueParts): Promise<WaitingError> {
  await noteInterruption(claim, 'lease', parts);
  return new WaitingError();
}

async function handBack(stored: StoredJob, token: string, claim: Claim, parts: QueueParts): Promise<never> {
  try {
    await parts.backend.handBack(stored, token);
    parts.onHandedBack(claim);
  } catch (error) {
    // Swept meanwhile, or the store is gone: the job comes back by its lease.
    parts.onTrouble(claim, error, 'hand back');
  }
  throw new WaitingError();
}

async function noteInterruption(claim: Claim, cause: 'deploy' | 'lease', parts: QueueParts): Promise<void> {
  try {
    await parts.interruptions.note(claim, cause);
  } catch (error) {
    parts.onTrouble(claim, error, 'note an interruption');
  }
}

/** A payload that is not JSON is replaced, or every list that meets it throws; a foreign job gets the backoff that asks us. */
async function prepareFailure(stored: StoredJob, claim: Claim): Promise<void> {
  if (claim.problem?.code === 'MALFORMED' && isMalformed(stored.data)) await stored.updateData(stored.data);
  stored.opts.attempts ??= claim.maxAttempts;
  stored.opts.backoff ??= { type: 'policy' };
}

function isMalformed(data: unknown): boolean {
  return typeof data === 'object' && data !== null && '$malformed' in data;
}
