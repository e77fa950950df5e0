/** Times of a run, read from its logs. */
import type { FaultLine, ProducerLine, StateLine } from './logs.ts';

export interface Spread {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
  readonly n: number;
}

/** Zeroes when nothing was measured: `n` says so. */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: sorted.at(-1) ?? 0, n: sorted.length };
}

/**
 * From the end of a worker (killed, crashed, told to stop) to the next start of each job it held; to its next claim when
 * the worker that claimed it was struck too before it could start it: that claim has a recovery of its own.
 */
export function recoveryTimes(faults: readonly FaultLine[], states: readonly StateLine[]): number[] {
  const struck = new Map<number, number>();
  for (const line of faults) {
    const isEnd = line.event === 'kill' || line.event === 'term' || line.event === 'exit';
    if (isEnd && !struck.has(line.actor)) struck.set(line.actor, line.t);
  }
  const byJob = new Map<string, StateLine[]>();
  for (const line of states) {
    const lines = byJob.get(line.id);
    if (lines === undefined) byJob.set(line.id, [line]);
    else lines.push(line);
  }
  return [...byJob.values()].flatMap((lines) => orphanTimes(lines, struck));
}

function orphanTimes(lines: readonly StateLine[], struck: ReadonlyMap<number, number>): number[] {
  const times: number[] = [];
  for (const [index, claim] of lines.entries()) {
    const endedAt = claim.event === 'claimed' ? struck.get(claim.actor) : undefined;
    if (endedAt === undefined || claim.t > endedAt) continue;
    const rest = lines.slice(index + 1);
    const isEnded = rest.some(
      (line) => line.actor === claim.actor && line.fence === claim.fence && /completed|failed/.test(line.event),
    );
    const next = rest.find((line) => line.event === 'claimed' && line.fence > claim.fence);
    const start = rest.find((line) => line.event === 'started' && line.fence > claim.fence);
    const again = start?.fence === next?.fence ? start : next;
    if (!isEnded && again !== undefined) times.push(Math.max(0, again.t - endedAt));
  }
  return times;
}

/** The longest time without an event of the kind, between `from` and `to`. */
function longestGap(times: readonly number[], from: number, to: number): number {
  const inside = times.filter((t) => t >= from && t <= to).toSorted((a, b) => a - b);
  let last = from;
  let longest = 0;
  for (const t of [...inside, to]) {
    longest = Math.max(longest, t - last);
    last = t;
  }
  return longest;
}

/** Longest time without an accepted call, and without a start of a handler, while the load ran. */
export function gaps(
  producer: readonly ProducerLine[],
  states: readonly StateLine[],
  from: number,
  to: number,
): { readonly acceptMs: number; readonly startMs: number } {
  const accepted = producer.filter((line) => line.event === 'accepted').map((line) => line.t);
  const started = states.filter((line) => line.event === 'started').map((line) => line.t);
  return { acceptMs: longestGap(accepted, from, to), startMs: longestGap(started, from, to) };
}

/** From each heal to the next start of a handler; heals that were followed by another fault first are left out. */
export function resumeTimes(faults: readonly FaultLine[], states: readonly StateLine[]): number[] {
  const starts = states.filter(({ event }) => event === 'started').map(({ t }) => t);
  const marks = faults.filter(({ event }) => event === 'heal' || event === 'inject');
  return marks.flatMap(({ event, t }, index) => {
    const next = marks[index + 1]?.t ?? Number.POSITIVE_INFINITY;
    const start = starts.find((at) => at >= t);
    return event !== 'heal' || start === undefined || start > next ? [] : [start - t];
  });
}

/** From the moment a job could have run to its first start, for calls answered from `from` on. */
export function pickUpTimes(
  producer: readonly ProducerLine[],
  states: readonly StateLine[],
  from = 0,
  delayMs = 0,
): number[] {
  const startedAt = new Map<string, number>();
  for (const { event, id, t } of states) if (event === 'started' && !startedAt.has(id)) startedAt.set(id, t);
  return producer.flatMap(({ event, job, t }) => {
    const started = startedAt.get(job ?? '');
    return event === 'accepted' && t >= from && started !== undefined ? [Math.max(0, started - t - delayMs)] : [];
  });
}
