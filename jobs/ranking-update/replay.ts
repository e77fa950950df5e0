/** Runs a method over matches and keeps its state at month ends, so that a late match costs the months since it. Pure. */
import type { Method } from './method.ts';
import { addDays, monthEnds } from './months.ts';
import type { Played } from './played.ts';

export interface Checkpoint<S> {
  /** The last day that it holds, a month end. */
  readonly day: string;
  readonly state: S;
}

export interface Replay<S> {
  readonly state: S;
  /** In order; only months in which something happened. */
  readonly checkpoints: readonly Checkpoint<S>[];
}

/** `start.day` is `''` for a start from nothing. `matches` are those after it, in order of play. */
export function replay<S>(
  method: Method<S>,
  start: { readonly day: string; readonly state: S },
  matches: readonly Played[],
  until: string,
): Replay<S> {
  const state = structuredClone(start.state);
  const steps = method.steps(matches, start.day, until);
  const isKeepable = method.keepable(matches);
  const checkpoints: Checkpoint<S>[] = [];
  const first = steps[0]?.day;
  let at = 0;
  const applyUntil = (day: string): number => {
    const before = at;
    for (let step = steps[at]; step !== undefined && step.day <= day; step = steps[at]) {
      step.apply(state);
      at += 1;
    }
    return at - before;
  };
  for (const end of first === undefined ? [] : monthEnds(first, until))
    if (applyUntil(end) > 0 && isKeepable(end)) checkpoints.push({ day: end, state: structuredClone(state) });
  applyUntil(until);
  return { state, checkpoints };
}

/** The checkpoint days that a change of matches from the day `from` on leaves valid; undefined: all. */
export function validDays(days: readonly string[], from: string | undefined, reachesBackDays: number): string[] {
  if (from === undefined) return [...days];
  if (from === '') return [];
  const earliest = addDays(from, -reachesBackDays);
  return days.filter((day) => day < earliest);
}
