/**
 * Refuses adds before the store is full or a queue hopelessly behind, so that what is there can drain. What it knows is
 * at most a second old where adds are frequent, and then an add waits for nothing; the first add after a while looks.
 */
import type { Backend } from '../backends/backend.ts';
import { depthOf, oldestAgeS } from '../backends/queue-depth.ts';
import type { Job } from '../jobs/define.ts';
import type { Level } from '../jobs/policy.ts';
import { LimitedError } from './errors.ts';

/** Why adds are refused: `memory` of the store, `depth` or `age` of the queue. */
export type PressureReason = 'age' | 'depth' | 'memory';

export interface BackPressure {
  /** A promise only where the store has to be asked first. `count` adds of this level are about to be made. */
  refusal(
    job: Job,
    level: Level,
    now: number,
    count?: number,
  ): LimitedError | undefined | Promise<LimitedError | undefined>;
}

type Store = Pick<Backend, 'fullness' | 'queue'>;

/** What is known of one queue. */
interface Seen {
  at: number;
  /** Undefined until the first look has ended. */
  looking: Promise<void> | undefined;
  ageS: number;
  depth: number;
  depthAt: number;
  /** Adds of this process since it was counted. */
  added: number;
}

const freshMs = 1_000;
/** Older than this it is worth waiting for a new look. */
const staleMs = 5_000;
/** Counting a deep queue costs the store something: a queue is not counted again before it could have been filled. */
const addsPerMs = 50;
const longestMs = 20_000;
/** Where the adds of this process alone would have filled the queue it is counted again, but not more often than this. */
const recountMs = 50;
/** Share of the store's memory from which on nothing is added: the rest is for the jobs that are there. */
const fullShare = 0.8;
const retryAfterMs = 5_000;

export function watchPressure(backend: Store, onRefused: (job: Job, reason: PressureReason) => void): BackPressure {
  const queues = new Map<string, Seen>();
  const memory: Memory = { at: Number.NEGATIVE_INFINITY, share: 0, looking: undefined };
  return {
    refusal(job, level, now, count = 1) {
      const seen = seenOf(queues, job.name);
      const judged = (): LimitedError | undefined => {
        const refused = judge(job, level, seen, memory.share, onRefused);
        if (refused === undefined) seen.added += count;
        return refused;
      };
      const isDue = now - seen.at >= freshMs || (isFilled(job, seen) && now - seen.depthAt >= recountMs);
      if (isDue) seen.looking ??= look(backend, job, seen, memory, now);
      const mustWait = now - seen.at >= staleMs || (isDue && isFilled(job, seen));
      return mustWait && seen.looking !== undefined ? seen.looking.then(judged) : judged();
    },
  };
}

interface Memory {
  at: number;
  share: number;
  looking: Promise<void> | undefined;
}

function seenOf(queues: Map<string, Seen>, name: string): Seen {
  const known = queues.get(name);
  if (known !== undefined) return known;
  const never = Number.NEGATIVE_INFINITY;
  const seen: Seen = { at: never, looking: undefined, ageS: 0, depth: 0, depthAt: never, added: 0 };
  queues.set(name, seen);
  return seen;
}

const isFilled = ({ policy }: Job, { depth, added }: Seen): boolean => depth + added >= policy.maxDepth;

/** Never rejects: a store that does not answer is the add's to report. */
async function look(backend: Store, job: Job, seen: Seen, memory: Memory, now: number): Promise<void> {
  const { maxDepth, shedAgeS } = job.policy;
  const queue = backend.queue(job.name);
  const emptyMs = (maxDepth - seen.depth - seen.added) / addsPerMs;
  const isDepthDue = now - seen.depthAt >= Math.min(longestMs, Math.max(emptyMs, recountMs));
  const addedBefore = seen.added;
  try {
    const [depth, ageS] = await Promise.all([
      isDepthDue ? depthOf(queue) : undefined,
      shedAgeS > 0 ? oldestAgeS(queue, now) : 0,
      lookAtMemory(backend, memory, now),
    ]);
    seen.ageS = ageS;
    if (depth !== undefined) {
      seen.depth = depth;
      seen.depthAt = now;
      seen.added -= addedBefore;
    }
  } catch {
    // What was known before is as good as anything; the add asks the same store and has the error to itself.
  } finally {
    seen.at = now;
    seen.looking = undefined;
  }
}

/** One question for all queues of the process. */
async function lookAtMemory(backend: Store, memory: Memory, now: number): Promise<void> {
  if (now - memory.at < freshMs) return;
  memory.looking ??= backend
    .fullness()
    .then((share = 0) => {
      memory.share = share;
      memory.at = now;
    })
    .finally(() => {
      memory.looking = undefined;
    });
  await memory.looking;
}

function judge(
  job: Job,
  level: Level,
  seen: Seen,
  share: number,
  onRefused: (job: Job, reason: PressureReason) => void,
): LimitedError | undefined {
  const { maxDepth, shedAgeS } = job.policy;
  const refuse = (reason: PressureReason, message: string): LimitedError => {
    onRefused(job, reason);
    return new LimitedError(message, { status: 503, retryAfterMs });
  };
  if (share >= fullShare)
    return refuse(
      'memory',
      `The store has used ${Math.floor(share * 100)} % of its memory; nothing is added from 80 % on.`,
    );
  if (isFilled(job, seen))
    return refuse(
      'depth',
      `The queue ${job.name} holds ${maxDepth} jobs or more, which is all it may (policy.maxDepth).`,
    );
  const allowedS = shedAgeS * { high: 4, normal: 2, low: 1 }[level];
  if (shedAgeS > 0 && seen.ageS > allowedS)
    return refuse(
      'age',
      `The oldest job of ${job.name} has waited ${Math.round(seen.ageS)} s; from ${allowedS} s on no job of level ${level} is added (policy.shedAgeS).`,
    );
  return undefined;
}
