/**
 * Conservation, seen by the producer: each second, how many jobs the store holds, and between which bounds that has to
 * lie. Every accepted job is there; nothing is there that was not asked for. A call under way may or may not be.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { logPaths, openLog, type ProducerLine, readLog, type SampleLine } from './logs.ts';
import type { Side } from './side.ts';

const everyMs = 1_000;
/** A store that is away is asked again in the next second. */
const lookLimitMs = 5_000;

/** Calls of a whole run, earlier lives of the producer included. */
export interface CallCounts {
  accepted: number;
  called: number;
  refused: number;
}

export function countCalls(folder: string): CallCounts {
  const counts: CallCounts = { accepted: 0, called: 0, refused: 0 };
  for (const { event } of readLog<ProducerLine>(logPaths(folder).producer)) {
    if (event === 'attempt') counts.called += 1;
    if (event === 'accepted') counts.accepted += 1;
    if (event === 'refused') counts.refused += 1;
  }
  return counts;
}

export async function sample(side: Side, folder: string, calls: CallCounts, signal: AbortSignal): Promise<void> {
  const note = openLog<SampleLine>(logPaths(folder).samples);
  while (!signal.aborted) {
    const { accepted, refused } = calls;
    const counts = await Promise.race([side.counts(), wait(lookLimitMs, undefined, { ref: false })]).catch(
      () => undefined,
    );
    // Without an answer there is nothing to judge: whether the store answers is told by the calls.
    if (counts !== undefined) note('sample', '-', { counts, accepted, called: calls.called - refused });
    await wait(everyMs, undefined, { signal }).catch(() => undefined);
  }
}
