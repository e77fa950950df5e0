/**
 * Net run rate: runs scored per over faced minus runs conceded per over bowled, over the sums of all counted matches
 * (softballcricket.com/point_systems/net_run_rate.php). Everything is whole numbers of runs and balls; a rate becomes a
 * decimal number only when it is printed. Pure.
 */
import type { Innings, KeptMatch } from '../cricket/match.ts';

export interface Share {
  readonly runs: number;
  /** What counts as faced: the whole quota for a side that was bowled out. */
  readonly balls: number;
}

export interface Rate {
  readonly for: Share;
  readonly against: Share;
  readonly ballsPerOver: number;
}

/** Methods by which a target is set for fewer overs than were meant. */
const rainMethods: ReadonlySet<string> = new Set(['D/L', 'DLS', 'VJD']);

/** What each side of a match adds to its sums, by team id; undefined where the match counts for no rate. */
export function sharesOf(match: KeptMatch): ReadonlyMap<string, Share> | undefined {
  const { outcome, overs, ballsPerOver } = match;
  if (outcome.result === 'no result' || outcome.method === 'Awarded' || overs === null) return undefined;
  const [first, second] = match.innings.filter(({ superOver }) => !superOver);
  if (first === undefined || second === undefined || first.team === second.team) return undefined;
  const full = overs * ballsPerOver;
  return new Map([
    [first.team, shareOfFirst(first, second, full, outcome.method)],
    [second.team, shareOfSecond(first, second, full)],
  ]);
}

function shareOfFirst(first: Innings, second: Innings, full: number, method: string | null): Share {
  const { target } = second;
  const quota = Math.min(full, target?.balls ?? full);
  // The side is credited with what the other would have needed to tie: one run less than its target, over its overs.
  if (method !== null && rainMethods.has(method) && target !== null) return { runs: target.runs - 1, balls: quota };
  return { runs: first.runs, balls: first.allOut ? quota : first.oversBalls };
}

function shareOfSecond(first: Innings, second: Innings, full: number): Share {
  const quota = Math.min(full, second.target?.balls ?? full);
  const hasWon = second.runs >= (second.target?.runs ?? first.runs + 1);
  return { runs: second.runs, balls: second.allOut && !hasWon ? quota : second.oversBalls };
}

export function addShare(sum: Share, more: Share): Share {
  return { runs: sum.runs + more.runs, balls: sum.balls + more.balls };
}

/** A whole numerator over a positive denominator; 0 for a side that has not batted or not bowled. */
function fraction(rate: Rate): readonly [bigint, bigint] {
  if (rate.for.balls === 0 || rate.against.balls === 0) return [0n, 1n];
  const scored = BigInt(rate.for.runs) * BigInt(rate.against.balls);
  const conceded = BigInt(rate.against.runs) * BigInt(rate.for.balls);
  return [BigInt(rate.ballsPerOver) * (scored - conceded), BigInt(rate.for.balls) * BigInt(rate.against.balls)];
}

/** Negative when `a` is the lower rate; exact. */
export function compareRates(a: Rate, b: Rate): number {
  const [over, under] = fraction(a);
  const [otherOver, otherUnder] = fraction(b);
  const difference = over * otherUnder - otherOver * under;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** Rounded to three decimals, halves away from zero; exact until then. */
export function netRunRate(rate: Rate): number {
  const [over, under] = fraction(rate);
  const size = over < 0n ? -over : over;
  const thousandths = Number((2_000n * size + under) / (2n * under));
  return thousandths === 0 ? 0 : (over < 0n ? -thousandths : thousandths) / 1_000;
}
