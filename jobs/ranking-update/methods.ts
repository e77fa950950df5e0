/** The method of a format by its name. */
import type { Format } from '../cricket/match.ts';
import { elo } from './elo.ts';
import { glicko2 } from './glicko-method.ts';
import { iccLimited } from './icc-limited.ts';
import { iccTest } from './icc-test.ts';
import type { Method, Standing } from './method.ts';
import type { Played } from './played.ts';
import { replay } from './replay.ts';

export type MethodName = 'icc' | 'elo' | 'glicko2';

/** Raise it when a method gives other ratings: what was kept by the one before is computed anew. */
export const recipe = 1;

/** A method with its state closed in: a checkpoint is JSON to everybody else. */
export interface Ranker {
  readonly reachesBackDays: number;
  readonly run: (
    start: { readonly day: string; readonly state: unknown } | undefined,
    matches: readonly Played[],
    asOf: string,
    options: { readonly minMatches: number },
  ) => {
    readonly standings: readonly Standing[];
    readonly checkpoints: readonly { readonly day: string; readonly state: unknown }[];
  };
}

function ranker<S>(method: Method<S>): Ranker {
  return {
    reachesBackDays: method.reachesBackDays,
    run: (start, matches, asOf, options) => {
      const from =
        start === undefined ? { day: '', state: method.fresh() } : { day: start.day, state: method.read(start.state) };
      const { state, checkpoints } = replay(method, from, matches, asOf);
      return { standings: method.standings(state, asOf, options), checkpoints };
    },
  };
}

export function rankerOf(format: Format, method: MethodName): Ranker {
  switch (method) {
    case 'icc':
      return format === 'test' ? ranker(iccTest) : ranker(iccLimited);
    case 'elo':
      return ranker(elo);
    case 'glicko2':
      return ranker(glicko2);
  }
}
