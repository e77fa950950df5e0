/** Glicko-2 over the months of a ranking. A month that has not ended is rated with what was played so far. Pure. */
import { z } from 'zod';
import { afterPeriod, newcomer } from './glicko.ts';
import type { Method, Step } from './method.ts';
import { dayAfter, monthEnds } from './months.ts';
import type { Played } from './played.ts';

const glickoState = z.record(
  z.string(),
  z.object({ rating: z.number(), deviation: z.number(), volatility: z.number(), matches: z.int() }),
);
type GlickoState = z.output<typeof glickoState>;

const scores = { win: 1, tie: 0.5, loss: 0 } as const;
const turned = { win: 'loss', tie: 'tie', loss: 'win' } as const;

function endPeriod(state: GlickoState, matches: readonly Played[]): void {
  const before = (team: string): GlickoState[string] => state[team] ?? { ...newcomer, matches: 0 };
  const after = new Map<string, GlickoState[string]>();
  const teams = new Set([...Object.keys(state), ...matches.flatMap((match) => match.teams)]);
  for (const team of teams) {
    // Everybody meets everybody as they were when the month began.
    const games = matches.flatMap(({ teams: [a, b], result }) => {
      if (a === team) return [{ ...before(b), score: scores[result] }];
      return b === team ? [{ ...before(a), score: scores[turned[result]] }] : [];
    });
    const own = before(team);
    after.set(team, { ...afterPeriod(own, games), matches: own.matches + games.length });
  }
  for (const [team, rated] of after) state[team] = rated;
}

function steps(matches: readonly Played[], after: string, until: string): Step<GlickoState>[] {
  const counted = matches.filter(({ date }) => date > after && date <= until);
  const first = after === '' ? counted[0]?.date : dayAfter(after);
  // A start from the last day itself: that month has been rated.
  if (first === undefined || first > until) return [];
  const ends = monthEnds(first, until);
  if (ends.at(-1) !== until) ends.push(until);
  return ends.map((day, at) => {
    const from = at === 0 ? after : (ends[at - 1] ?? '');
    const month = counted.filter(({ date }) => date > from && date <= day);
    return { day, apply: (state) => endPeriod(state, month) };
  });
}

const rounded = (value: number): number => Math.round(value * 100) / 100;

export const glicko2: Method<GlickoState> = {
  fresh: () => ({}),
  read: (kept) => glickoState.parse(kept),
  steps,
  keepable: () => () => true,
  reachesBackDays: 0,
  standings: (state) =>
    Object.entries(state)
      .map(([teamId, { rating, deviation, volatility, matches }]) => ({
        teamId,
        rating: rounded(rating),
        exact: { rating, deviation, volatility },
        matches,
      }))
      .toSorted((a, b) => b.exact.rating - a.exact.rating || (a.teamId < b.teamId ? -1 : 1)),
};
