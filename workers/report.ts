/** The last step of an attempt: one log line and its metrics. */
import type { Worker } from 'bullmq';
import { outsideId } from '../backends/slot-id.ts';
import { JobError } from '../jobs/errors.ts';
import type { Log } from '../runtime/log.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Ended } from './attempt.ts';
import type { Claim } from './claim.ts';
import { AttemptFailed, storedMessage } from './failure.ts';

/** Successes above this many a second are logged by sample only. */
const fullRatePerS = 200;

export interface ReportOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  /** Share of the successes above 200 a second that are logged, 0–1. Failures always are. */
  readonly successSample: number;
}

/** One reporter per queue: labels are bound once. */
export function createReport(queue: string, options: ReportOptions): (claim: Claim, ended: Ended) => void {
  const { log, metrics } = options;
  const duration = metrics.jobDuration.labels(queue);
  const wait = metrics.jobWait.labels(queue);
  const outcomes = new Map<string, { inc(): void }>();
  const isLogged = createSample(options.successSample);
  return (claim, ended) => {
    const { state } = ended.outcome;
    let counter = outcomes.get(state);
    if (counter === undefined) {
      counter = metrics.jobAttempts.labels(queue, state);
      outcomes.set(state, counter);
    }
    counter.inc();
    duration.observe(ended.durationMs / 1_000);
    if (claim.isFirst) wait.observe(Math.max(0, Date.now() - ended.durationMs - claim.dueAt) / 1_000);
    if (state !== 'done' || isLogged()) writeLine(log, claim, ended);
  };
}

/** Counts ends as the store takes them: what a handler finished and the store refused is done again, here or elsewhere. */
export function countEnds(worker: Worker, queue: string, metrics: Metrics): void {
  const completed = metrics.jobsCompleted.labels(queue);
  const failed = metrics.jobsFailed.labels(queue);
  worker.on('completed', () => completed.inc());
  worker.on('failed', (_job, error) => {
    if (error instanceof AttemptFailed && error.isLast) failed.inc();
  });
}

function writeLine(log: Log, claim: Claim, ended: Ended): void {
  const { outcome, error } = ended;
  const line = {
    jobId: outsideId(claim.queue, claim.id),
    job: claim.name,
    queue: claim.queue,
    tenant: claim.tenant,
    attempt: claim.attempt,
    outcome: outcome.state,
    durationMs: ended.durationMs,
    ...(ended.skipped === undefined ? {} : { skipped: ended.skipped }),
  };
  switch (outcome.state) {
    case 'done':
    case 'cancelled':
      return log.info(line, 'attempt ended');
    case 'interrupted':
      return log.info({ ...line, cause: outcome.cause }, 'attempt ended');
    case 'later':
    case 'retry':
      // A tenant at its limit, or paused: expected, and as often as it has jobs.
      if (outcome.code === 'LIMITED' || outcome.code === 'PAUSED')
        return log.debug({ ...line, delayMs: outcome.delayMs }, 'attempt put off');
      return log.warn({ ...line, code: outcome.code, delayMs: outcome.delayMs, ...reasonOf(error) }, 'attempt ended');
    case 'dead':
      return log.error({ ...line, code: outcome.code, ...reasonOf(error) }, 'attempt ended');
  }
}

/** A JobError says enough by its message; anything else is a bug somewhere and needs its stack. */
function reasonOf(error: Error | undefined): { reason: string } | { err: Error } | Record<never, never> {
  if (error === undefined) return {};
  return error instanceof JobError ? { reason: storedMessage(error).slice(0, 300) } : { err: error };
}

function createSample(share: number): () => boolean {
  let second = 0;
  let seen = 0;
  return () => {
    const now = Math.floor(Date.now() / 1_000);
    if (now !== second) {
      second = now;
      seen = 0;
    }
    seen += 1;
    return seen <= fullRatePerS || Math.random() < share;
  };
}
