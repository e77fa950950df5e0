/**
 * What a match counts in a ranking as time goes by (hubbry.com/ICC_T20I_Championship): with Y the year of the latest 1 May, full
 * weight from 1 May Y-1, half from 1 May Y-3 to 30 April Y-1, nothing before. Ranks change on 1 May without any play. Pure.
 */

/** The year of the 1 May that a day (`YYYY-MM-DD`) follows or is. A weight depends on this year alone. */
export function rankingYear(day: string): number {
  const year = Number(day.slice(0, 4));
  return day.slice(5) >= '05-01' ? year : year - 1;
}

/** Half weights: 2 for full, 1 for half, 0 for none; so that sums stay whole numbers. */
export function halfWeight(asOfYear: number, matchYear: number): 0 | 1 | 2 {
  if (matchYear >= asOfYear - 1) return 2;
  return matchYear >= asOfYear - 3 ? 1 : 0;
}
