/**
 * Averages and rates as broadcasters print them: cut after two decimals, not rounded (154.697 is printed 154.69); `-` where
 * there is nothing to divide by. Pure.
 */
import { oversText } from '../cricket/overs.ts';
import type { Batting, Bowling } from './player-table.ts';

/** Whole, non-negative numbers. */
function truncated(over: number, under: number): string {
  if (under === 0) return '-';
  const hundredths = (BigInt(over) * 100n) / BigInt(under);
  return `${hundredths / 100n}.${String(hundredths % 100n).padStart(2, '0')}`;
}

export function printedBatting({ runs, balls, dismissals, highest }: Batting) {
  return {
    average: truncated(runs, dismissals),
    strikeRate: truncated(100 * runs, balls),
    highest: highest === null ? '-' : `${highest.runs}${highest.notOut ? '*' : ''}`,
  };
}

/** Economy is per six legal balls, however many an over of the competition has. */
export function printedBowling({ runs, balls, wickets, best }: Bowling, ballsPerOver: number) {
  return {
    overs: oversText(balls, ballsPerOver),
    average: truncated(runs, wickets),
    economy: truncated(6 * runs, balls),
    strikeRate: truncated(balls, wickets),
    best: best === null ? '-' : `${best.wickets}/${best.runs}`,
  };
}
