/**
 * The ICC ranking of Tests: the unit is the series, counted on the day of its last Test, from the printed ratings before its
 * first. A series is what two sides play under one event's name, each Test at most 60 days after the one before and 120
 * after the first. A series that still runs counts with the Tests played so far. Pure.
 */
import { type Pair, seriesRatingPoints, seriesWeight } from './icc-points.ts';
import { addPoints, type IccState, iccStandings, ratingOn, readIccState } from './icc-state.ts';
import type { Method, Step } from './method.ts';
import { addDays } from './months.ts';
import type { Played } from './played.ts';

const pauseDays = 60;
const seriesDays = 120;

interface PlayedSeries {
  readonly teams: readonly [string, string];
  readonly first: string;
  last: string;
  readonly matches: Played[];
}

/** In the order of their first Tests. */
function seriesOf(matches: readonly Played[]): PlayedSeries[] {
  const all: PlayedSeries[] = [];
  const open = new Map<string, PlayedSeries>();
  for (const match of matches) {
    const teams = match.teams.toSorted();
    const key = JSON.stringify([...teams, match.competition]);
    const running = open.get(key);
    const goesOn =
      running !== undefined &&
      match.date <= addDays(running.last, pauseDays) &&
      match.date <= addDays(running.first, seriesDays);
    if (goesOn) {
      running.matches.push(match);
      running.last = match.date;
      continue;
    }
    const [a = '', b = ''] = teams;
    const started: PlayedSeries = { teams: [a, b], first: match.date, last: match.date, matches: [match] };
    open.set(key, started);
    all.push(started);
  }
  return all;
}

function countOf({ teams: [a], matches }: PlayedSeries): { tests: number; winsA: number; winsB: number } {
  const decided = matches.filter(({ result }) => result !== 'tie');
  const winsA = decided.filter(({ teams, result }) => (teams[0] === a) === (result === 'win')).length;
  return { tests: matches.length, winsA, winsB: decided.length - winsA };
}

function steps(matches: readonly Played[], after: string, until: string): Step<IccState>[] {
  const counted = matches.filter(({ date }) => date > after && date <= until);
  const all: Step<IccState>[] = [];
  for (const series of seriesOf(counted)) {
    const [a, b] = series.teams;
    let before: Pair = [0, 0];
    all.push({
      day: series.first,
      apply: (state) => {
        before = [ratingOn(state, a, series.first), ratingOn(state, b, series.first)];
      },
    });
    all.push({
      day: series.last,
      apply: (state) => {
        const count = countOf(series);
        const [ofA, ofB] = seriesRatingPoints(before, count);
        const more = { weight: seriesWeight(count), matches: count.tests };
        addPoints(state, a, series.last, { halfPoints: ofA, ...more });
        addPoints(state, b, series.last, { halfPoints: ofB, ...more });
      },
    });
  }
  // Stable: on one day a single Test begins before it ends, and series keep the order of play.
  return all.toSorted((x, y) => (x.day === y.day ? 0 : x.day < y.day ? -1 : 1));
}

export const iccTest: Method<IccState> = {
  fresh: () => ({}),
  read: readIccState,
  steps,
  // A checkpoint in the middle of a series would cut it in two.
  keepable: (matches) => {
    const all = seriesOf(matches);
    return (monthEnd) => all.every(({ first, last }) => first > monthEnd || last <= monthEnd);
  },
  reachesBackDays: seriesDays,
  standings: iccStandings,
};
