/** The ICC ranking of ODI and T20I: points of each match from the printed ratings before it. Pure. */
import { matchPoints } from './icc-points.ts';
import { addPoints, type IccState, iccStandings, ratingOn, readIccState } from './icc-state.ts';
import type { Method } from './method.ts';
import type { Played } from './played.ts';

function play(state: IccState, { teams: [a, b], date, result }: Played): void {
  const [ofA, ofB] = matchPoints([ratingOn(state, a, date), ratingOn(state, b, date)], result);
  addPoints(state, a, date, { halfPoints: 2 * ofA, weight: 1, matches: 1 });
  addPoints(state, b, date, { halfPoints: 2 * ofB, weight: 1, matches: 1 });
}

export const iccLimited: Method<IccState> = {
  fresh: () => ({}),
  read: readIccState,
  steps: (matches, after, until) =>
    matches
      .filter(({ date }) => date > after && date <= until)
      .map((match) => ({ day: match.date, apply: (state) => play(state, match) })),
  keepable: () => () => true,
  reachesBackDays: 0,
  standings: iccStandings,
};
