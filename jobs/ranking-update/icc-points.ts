/**
 * The points of the ICC for a match (ODI, T20I) and for a series (Test), from the ratings before it. Whole numbers throughout;
 * `docs/jobs/ranking-update.md` names the sources. Pure.
 */

/** From the first side's view. */
export type MatchResult = 'win' | 'tie' | 'loss';
export type Pair = readonly [number, number];

const farGap = 40;

/** Ratings are printed ones, whole numbers. The points of both sides add up to the sum of both ratings. */
export function matchPoints(ratings: Pair, result: MatchResult): Pair {
  const [a, b] = ratings;
  if (Math.abs(a - b) < farGap) {
    const shift = { win: 50, tie: 0, loss: -50 }[result];
    return [b + shift, a - shift];
  }
  const isStronger = a > b;
  // Far apart a side is measured against itself: a win never lowers a rating, a loss never lifts one.
  const shift = (isStronger ? { win: 10, tie: -40, loss: -90 } : { win: 90, tie: 40, loss: -10 })[result];
  return [a + shift, b - shift];
}

export interface Series {
  readonly tests: number;
  readonly winsA: number;
  readonly winsB: number;
}

/** In half points: two for a win, one for each draw or tie; two more for the winner of two Tests or more, one each when level. */
export function seriesHalfPoints({ tests, winsA, winsB }: Series): Pair {
  const shared = tests - winsA - winsB;
  const bonus = (own: number, other: number): number => (tests < 2 ? 0 : own > other ? 2 : own === other ? 1 : 0);
  return [2 * winsA + shared + bonus(winsA, winsB), 2 * winsB + shared + bonus(winsB, winsA)];
}

/** What a series adds to matches: its Tests and one for the bonus. */
export function seriesWeight({ tests }: Series): number {
  return tests < 2 ? 1 : tests + 1;
}

/** In half points, so that they are whole. Their sum is the sum of both ratings times twice the weight. */
export function seriesRatingPoints(ratings: Pair, series: Series): Pair {
  const [a, b] = ratings;
  const [ofA, ofB] = seriesHalfPoints(series);
  if (Math.abs(a - b) < farGap) return [ofA * (b + 50) + ofB * (b - 50), ofB * (a + 50) + ofA * (a - 50)];
  if (a > b) return [ofA * (a + 10) + ofB * (a - 90), ofB * (b + 90) + ofA * (b - 10)];
  return [ofA * (a + 90) + ofB * (a - 10), ofB * (b + 10) + ofA * (b - 90)];
}

/** Points over matches as it is printed: rounded half up, so 252.5 is 253. `over` and `under` whole, `under` positive. */
export function printedRating(over: number, under: number): number {
  return Math.floor((2 * over + under) / (2 * under));
}
