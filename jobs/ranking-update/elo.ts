/**
 * Elo: E = 1/(1+10^((Rb-Ra)/400)), R += K(S-E), K 20, everybody starts with 1,500, no winner is half a point. Ratings are whole billionths of a
 * point: what one side wins is exactly what the other loses, so the sum of all stays the number of teams × 1,500. Pure.
 */
import { z } from 'zod';
import type { Method } from './method.ts';
import type { Played } from './played.ts';

const nano = 1_000_000_000;
const start = 1_500 * nano;

/** Billionths of points, and matches. */
const eloState = z.record(z.string(), z.object({ rating: z.int(), matches: z.int() }));
type EloState = z.output<typeof eloState>;

/** What the first side wins, in billionths; `score` is 1, ½ or 0. */
export function eloShift(ratingA: number, ratingB: number, score: number, k: number): number {
  const expected = 1 / (1 + 10 ** ((ratingB - ratingA) / nano / 400));
  return Math.round(k * (score - expected) * nano);
}

const scores = { win: 1, tie: 0.5, loss: 0 } as const;

function play(state: EloState, { teams: [a, b], result }: Played, k: number): void {
  const ofA = (state[a] ??= { rating: start, matches: 0 });
  const ofB = (state[b] ??= { rating: start, matches: 0 });
  const shift = eloShift(ofA.rating, ofB.rating, scores[result], k);
  ofA.rating += shift;
  ofB.rating -= shift;
  ofA.matches += 1;
  ofB.matches += 1;
}

export const elo: Method<EloState> = {
  fresh: () => ({}),
  read: (kept) => eloState.parse(kept),
  // By the first day: another order inside a day gives other ratings, and the order of play is by first day and match id.
  steps: (matches, after, until) =>
    matches
      .filter(({ date }) => date > after && date <= until)
      .map((match) => ({ day: match.date, apply: (state) => play(state, match, 20) })),
  keepable: () => () => true,
  reachesBackDays: 0,
  standings: (state) =>
    Object.entries(state)
      .map(([teamId, { rating, matches }]) => ({
        teamId,
        rating: Math.round(rating / (nano / 100)) / 100,
        exact: { nanoRating: rating },
        matches,
      }))
      .toSorted((a, b) => b.exact.nanoRating - a.exact.nanoRating || (a.teamId < b.teamId ? -1 : 1)),
};
