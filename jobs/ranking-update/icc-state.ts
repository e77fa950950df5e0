/**
 * What the ICC methods keep of a team: for each ranking year its half points, what they are divided by, and its matches. A
 * rating of any day comes from at most four of them, whatever was played. Pure.
 */
import { z } from 'zod';
import { printedRating } from './icc-points.ts';
import type { Standing } from './method.ts';
import { halfWeight, rankingYear } from './window.ts';

const year = z.object({ halfPoints: z.int(), weight: z.int(), matches: z.int() });
/** Team id → ranking year → sums. */
const iccState = z.record(z.string(), z.record(z.string(), year));
export type IccState = z.output<typeof iccState>;

export const readIccState = (kept: unknown): IccState => iccState.parse(kept);

/** A side that is in no window yet is rated as an average one. */
const startRating = 100;

interface Sums {
  /** Quarter points: half points × half weights. */
  readonly points: number;
  /** Half matches: weights × half weights. */
  readonly under: number;
  /** In the window, each as one. */
  readonly matches: number;
}

function sumsOf(years: IccState[string] | undefined, asOf: string): Sums {
  const now = rankingYear(asOf);
  const sums = { points: 0, under: 0, matches: 0 };
  for (const [year, { halfPoints, weight, matches }] of Object.entries(years ?? {})) {
    const half = halfWeight(now, Number(year));
    sums.points += half * halfPoints;
    sums.under += half * weight;
    if (half > 0) sums.matches += matches;
  }
  return sums;
}

/** The printed rating on a day: what match points are made of. */
export function ratingOn(state: IccState, team: string, day: string): number {
  const { points, under } = sumsOf(state[team], day);
  return under === 0 ? startRating : printedRating(points, 2 * under);
}

/** Adds half points of a match or series that ended on `day`. */
export function addPoints(
  state: IccState,
  team: string,
  day: string,
  more: { readonly halfPoints: number; readonly weight: number; readonly matches: number },
): void {
  const now = rankingYear(day);
  const years = (state[team] ??= {});
  // Whatever is asked next is asked of a later day.
  for (const old of Object.keys(years)) if (halfWeight(now, Number(old)) === 0) delete years[old];
  const year = (years[String(now)] ??= { halfPoints: 0, weight: 0, matches: 0 });
  year.halfPoints += more.halfPoints;
  year.weight += more.weight;
  year.matches += more.matches;
}

/** Order by the unrounded rating, compared exactly; then by team. `exact` holds quarter points and half matches. */
export function iccStandings(
  state: IccState,
  asOf: string,
  { minMatches }: { readonly minMatches: number },
): Standing[] {
  return Object.entries(state)
    .map(([teamId, years]) => ({ teamId, sums: sumsOf(years, asOf) }))
    .filter(({ sums }) => sums.under > 0 && sums.matches >= minMatches)
    .toSorted((a, b) => b.sums.points * a.sums.under - a.sums.points * b.sums.under || (a.teamId < b.teamId ? -1 : 1))
    .map(({ teamId, sums }) => ({
      teamId,
      rating: printedRating(sums.points, 2 * sums.under),
      exact: { quarterPoints: sums.points, halfMatches: sums.under },
      matches: sums.matches,
    }));
}
