/**
 * What we change on the real `IQueueBackend` of BullMQ. Single methods are replaced on the instance, so that
 * `instanceof` still holds and everything else stays BullMQ's own. Nothing here adds a round trip or an await to a job.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { IQueueBackend, PostgresQueueBackend } from 'bullmq';
import type { Pool } from 'pg';
import type { ClaimClock, ClaimWatch } from './backend.ts';

/** The longest wait for a job, as BullMQ's own; a connection that is gone without a word is given up a second after it. */
export const blockMs = 5_000;
/** One point a minute: a day. */
export const metricPoints = 1_440;

/** How soon a claim loop asks again that was told that there is nothing. */
const askAgainMs = 250;

/**
 * While the clock is wrong no claim is made, also none that comes with the end of the job before, and what is put off is
 * put off by the store's clock.
 */
export function obeyClock(backend: IQueueBackend, clock: ClaimClock): void {
  const active = backend.moveToActive.bind(backend);
  const completed = backend.moveToCompleted.bind(backend);
  const failed = backend.moveToFailed.bind(backend);
  const delayed = backend.moveToDelayed.bind(backend);
  // Without a time to ask again the loop would wait for a sign of the store that it may have had already.
  const nothing = () => Promise.resolve([null, null, 0, Date.now() + askAgainMs]);
  backend.moveToActive = (token, name) => (clock.isRight() ? active(token, name) : nothing());
  backend.moveToCompleted = (job, value, keep, token, next) =>
    completed(job, value, keep, token, next && clock.isRight());
  backend.moveToFailed = (job, reason, keep, token, next, fields) =>
    failed(job, reason, keep, token, next && clock.isRight(), fields);
  backend.moveToDelayed = (id, at, delay, token, more) =>
    clock.isRight()
      ? delayed(id, at, delay, token, more)
      : delayed(id, at + clock.offMs(), delay, token, { ...more, fetchNext: false });
}

/** How soon a claim is made again that the store refused. A process serves ten queues or so: ten errors a second at most. */
const refusedMs = 1_000;
/** After these BullMQ waits by itself (`runRetryDelay`). */
const connectionLost = /^Connection is closed\.$|ECONNREFUSED/;

/**
 * A store that is there and refuses (its disk is full, its replicas are gone) is not asked at once again: BullMQ's loop
 * would ask as fast as it is refused, ten thousand times a second.
 */
export function waitWhenRefused(backend: IQueueBackend): void {
  const claim = backend.moveToActive.bind(backend);
  backend.moveToActive = (token, name) =>
    claim(token, name).catch(async (error: unknown) => {
      if (!(error instanceof Error && connectionLost.test(error.message))) await wait(refusedMs);
      throw error;
    });
}

/**
 * Notes when the store last answered a claim or a wait, and caps the longest wait: BullMQ would let an idle worker on
 * PostgreSQL listen for an hour, too long to tell a quiet queue from a dead connection. Finishing a job claims the next
 * one in the same call, so it counts as an answer too.
 */
export function watchClaims(backend: IQueueBackend): ClaimWatch {
  let lastAnswerAt = performance.now();
  const note = () => {
    lastAnswerAt = performance.now();
  };
  // The caller gets the store's own promise, with its rejection; a failed call is no answer.
  const noted = <T>(answer: Promise<T>): Promise<T> => {
    answer.then(note, () => undefined);
    return answer;
  };
  const active = backend.moveToActive.bind(backend);
  const waitForJob = backend.waitForJob.bind(backend);
  const completed = backend.moveToCompleted.bind(backend);
  const failed = backend.moveToFailed.bind(backend);
  const delayed = backend.moveToDelayed.bind(backend);
  backend.moveToActive = (token, name) => noted(active(token, name));
  backend.waitForJob = (timeoutS) => noted(waitForJob(timeoutS));
  backend.moveToCompleted = (job, value, keep, token, next) => noted(completed(job, value, keep, token, next));
  backend.moveToFailed = (job, reason, keep, token, next, fields) =>
    noted(failed(job, reason, keep, token, next, fields));
  backend.moveToDelayed = (id, at, delay, token, more) => noted(delayed(id, at, delay, token, more));
  const longestS = Math.min(backend.maximumBlockTimeout ?? Number.POSITIVE_INFINITY, blockMs / 1_000);
  Object.defineProperty(backend, 'maximumBlockTimeout', { value: longestS });
  return { lastAnswerAt: () => lastAnswerAt, blockMs };
}

/**
 * One claim at a time per worker. A claim on PostgreSQL first promotes every delayed job that is due, and two that
 * promote together deadlock. BullMQ's own loop claims in sequence anyway; only jobs that were put off or handed back
 * make it claim once per slot, all at the same moment.
 */
export function claimInTurn(backend: IQueueBackend): void {
  const claim = backend.moveToActive.bind(backend);
  let last: Promise<unknown> | undefined;
  backend.moveToActive = (token, name) => {
    const run = () => claim(token, name);
    const mine = last === undefined ? run() : last.then(run, run);
    last = mine;
    const done = () => {
      if (last === mine) last = undefined;
    };
    mine.then(done, done);
    return mine;
  };
}

/**
 * BullMQ on PostgreSQL counts every finished job for its charts in a statement of its own, all in one row: a commit more
 * per job, one after the other. Here they are counted in memory and written once a second; a crash costs the chart one
 * second. Answers the function that writes the rest; it must run before the pool ends.
 */
export function gatherMetrics(
  backend: PostgresQueueBackend,
  pool: Pick<Pool, 'query'>,
  queue: string,
  onError: (error: Error) => void,
): () => Promise<void> {
  const counts = { completed: 0, failed: 0 };
  let timer: NodeJS.Timeout | undefined;
  const flush = async () => {
    clearTimeout(timer);
    timer = undefined;
    for (const kind of ['completed', 'failed'] as const) {
      const count = counts[kind];
      counts[kind] = 0;
      if (count === 0) continue;
      const values = [queue, kind, metricPoints, Date.now(), count];
      await pool
        .query('SELECT count(bullmq.collect_metrics($1, $2, $3, $4)) FROM generate_series(1, $5)', values)
        .catch(onError);
    }
  };
  Object.defineProperty(backend, 'collectMetrics', {
    value: (kind: 'completed' | 'failed') => {
      counts[kind] += 1;
      timer ??= setTimeout(() => void flush(), 1_000).unref();
    },
  });
  return flush;
}
