/** One innings, ball by ball, as a scorecard. Pure. */
import type { CricsheetInnings, Delivery } from './cricsheet.ts';
import type { BattingLine, BowlingLine, Innings } from './match.ts';
import { ballsOf } from './overs.ts';

/** Dismissals the bowler is credited with; every other one is the team's alone. */
const ofBowler: ReadonlySet<string> = new Set([
  'bowled',
  'caught',
  'caught and bowled',
  'lbw',
  'stumped',
  'hit wicket',
]);
/** Going off without being dismissed. */
const noWicket: ReadonlySet<string> = new Set(['retired hurt', 'retired not out']);
const wicketsOfAnInnings = 10;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Tally {
  readonly batting: Map<string, Mutable<BattingLine>>;
  readonly bowling: Map<string, Mutable<BowlingLine>>;
  readonly extras: Mutable<Innings['extras']>;
  /** Went off undismissed and have not been back. */
  readonly away: Set<string>;
  runs: number;
  wickets: number;
  balls: number;
}

/** `idOf` gives the registry id of a name and throws where there is none; `team` is the batting side's id. */
export function scorecard(
  raw: CricsheetInnings,
  context: { readonly team: string; readonly ballsPerOver: number; readonly idOf: (name: string) => string },
): Innings {
  const { team, ballsPerOver, idOf } = context;
  const tally: Tally = {
    batting: new Map(),
    bowling: new Map(),
    extras: { wides: 0, noballs: 0, byes: 0, legbyes: 0, penalty: 0 },
    away: new Set(),
    runs: (raw.penalty_runs?.pre ?? 0) + (raw.penalty_runs?.post ?? 0),
    wickets: 0,
    balls: 0,
  };
  const overs = raw.overs ?? [];
  for (const { deliveries } of overs) countOver(deliveries, tally, ballsPerOver, idOf);
  const absent = raw.absent_hurt?.length ?? 0;
  return {
    team,
    runs: tally.runs,
    wickets: tally.wickets,
    balls: tally.balls,
    oversBalls: oversBowled(raw, ballsPerOver),
    allOut: overs.length > 0 && tally.wickets + absent + tally.away.size >= wicketsOfAnInnings,
    superOver: raw.super_over === true,
    declared: raw.declared === true,
    forfeited: raw.forfeited === true,
    target: targetOf(raw, ballsPerOver),
    extras: tally.extras,
    batting: [...tally.batting.values()],
    bowling: [...tally.bowling.values()],
  };
}

function targetOf({ target }: CricsheetInnings, ballsPerOver: number): Innings['target'] {
  if (target?.runs === undefined) return null;
  const balls = target.overs === undefined ? undefined : ballsOf(target.overs, ballsPerOver);
  return { runs: target.runs, balls: balls ?? null };
}

function countOver(
  deliveries: readonly Delivery[],
  tally: Tally,
  ballsPerOver: number,
  idOf: (name: string) => string,
): void {
  let charged = 0;
  let legal = 0;
  for (const ball of deliveries) {
    charged += countDelivery(ball, tally, idOf);
    if (isLegal(ball)) legal += 1;
  }
  const bowlers = new Set(deliveries.map(({ bowler }) => bowler));
  const [only] = bowlers;
  if (charged > 0 || legal < ballsPerOver || bowlers.size !== 1 || only === undefined) return;
  bowlerOf(only, tally, idOf).maidens += 1;
}

/** Answers what it cost the bowler. */
function countDelivery(ball: Delivery, tally: Tally, idOf: (name: string) => string): number {
  const { wides = 0, noballs = 0 } = ball.extras ?? {};
  const batter = batterOf(ball.batter, tally, idOf);
  batterOf(ball.non_striker, tally, idOf);
  const bowler = bowlerOf(ball.bowler, tally, idOf);
  for (const kind of ['wides', 'noballs', 'byes', 'legbyes', 'penalty'] as const)
    tally.extras[kind] += ball.extras?.[kind] ?? 0;
  tally.runs += ball.runs.total;
  batter.runs += ball.runs.batter;
  if (wides === 0) batter.balls += 1;
  if (ball.runs.non_boundary !== true) {
    if (ball.runs.batter === 4) batter.fours += 1;
    if (ball.runs.batter === 6) batter.sixes += 1;
  }
  const charged = ball.runs.batter + wides + noballs;
  bowler.runs += charged;
  if (isLegal(ball)) {
    bowler.balls += 1;
    tally.balls += 1;
  }
  for (const { kind, player_out: name } of ball.wickets ?? []) countWicket(kind, name, bowler, tally, idOf);
  return charged;
}

function countWicket(
  kind: string,
  name: string,
  bowler: Mutable<BowlingLine>,
  tally: Tally,
  idOf: (name: string) => string,
): void {
  // Named in `absent_hurt` too, and never came to bat.
  if (kind === 'absent hurt') return;
  const batter = batterOf(name, tally, idOf);
  if (noWicket.has(kind)) {
    tally.away.add(batter.id);
    return;
  }
  tally.wickets += 1;
  batter.out = kind;
  if (ofBowler.has(kind)) bowler.wickets += 1;
}

/** Wides and no-balls are bowled again; a ball may be a no-ball and give byes. */
function isLegal({ extras }: Delivery): boolean {
  return (extras?.wides ?? 0) === 0 && (extras?.noballs ?? 0) === 0;
}

/** Whoever is at the crease bats, and is back when away. */
function batterOf(name: string, tally: Tally, idOf: (name: string) => string): Mutable<BattingLine> {
  const id = idOf(name);
  tally.away.delete(id);
  const line = tally.batting.get(id) ?? { id, name, runs: 0, balls: 0, fours: 0, sixes: 0, out: null };
  tally.batting.set(id, line);
  return line;
}

function bowlerOf(name: string, tally: Tally, idOf: (name: string) => string): Mutable<BowlingLine> {
  const id = idOf(name);
  const line = tally.bowling.get(id) ?? { id, name, balls: 0, runs: 0, wickets: 0, maidens: 0 };
  tally.bowling.set(id, line);
  return line;
}

/**
 * Counted in overs: one that the umpire miscounted (five balls, or seven) is still one. Only the last over of an innings
 * can be unfinished, unless it is named among the miscounted.
 */
function oversBowled(raw: CricsheetInnings, ballsPerOver: number): number {
  const overs = raw.overs ?? [];
  const last = overs.at(-1);
  if (last === undefined) return 0;
  const legal = last.deliveries.filter(isLegal).length;
  const isWhole = legal >= ballsPerOver || raw.miscounted_overs?.[String(last.over)] !== undefined;
  return isWhole ? overs.length * ballsPerOver : (overs.length - 1) * ballsPerOver + legal;
}
