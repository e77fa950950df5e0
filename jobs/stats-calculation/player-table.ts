/** Batting and bowling of every player over a set of matches, super overs left out. Kept as whole numbers. Pure. */
import type { BattingLine, BowlingLine, KeptMatch } from '../cricket/match.ts';

export interface Batting {
  innings: number;
  runs: number;
  balls: number;
  dismissals: number;
  fours: number;
  sixes: number;
  fifties: number;
  hundreds: number;
  highest: { runs: number; notOut: boolean } | null;
}

export interface Bowling {
  innings: number;
  /** Legal balls. */
  balls: number;
  runs: number;
  wickets: number;
  maidens: number;
  best: { wickets: number; runs: number } | null;
}

export interface PlayerRow {
  /** The id of the registry: names repeat. */
  readonly playerId: string;
  /** As the latest match writes it. */
  player: string;
  /** Its team of the latest match. */
  teamId: string;
  matches: number;
  readonly batting: Batting;
  readonly bowling: Bowling;
}

/** `matches` in any order; each is counted once. Rows by runs, wickets, name, id. */
export function playerTable(matches: readonly KeptMatch[]): PlayerRow[] {
  const unique = [...new Map(matches.map((match) => [match._id, match])).values()];
  const rows = new Map<string, PlayerRow>();
  for (const match of unique.toSorted((a, b) => (a.order < b.order ? -1 : 1))) {
    for (const { id, name, team } of match.players) {
      const row = rowOf(rows, id, name);
      row.matches += 1;
      row.teamId = team;
    }
    for (const { superOver, batting, bowling } of match.innings) {
      if (superOver) continue;
      for (const line of batting) countBatting(rowOf(rows, line.id, line.name).batting, line);
      for (const line of bowling) countBowling(rowOf(rows, line.id, line.name).bowling, line);
    }
  }
  return [...rows.values()].toSorted(
    (a, b) =>
      b.batting.runs - a.batting.runs ||
      b.bowling.wickets - a.bowling.wickets ||
      (a.player === b.player ? (a.playerId < b.playerId ? -1 : 1) : a.player < b.player ? -1 : 1),
  );
}

function rowOf(rows: Map<string, PlayerRow>, playerId: string, player: string): PlayerRow {
  const row = rows.get(playerId) ?? emptyRow(playerId, player);
  row.player = player;
  rows.set(playerId, row);
  return row;
}

function emptyRow(playerId: string, player: string): PlayerRow {
  const none = { innings: 0, runs: 0, balls: 0 };
  return {
    playerId,
    player,
    teamId: '',
    matches: 0,
    batting: { ...none, dismissals: 0, fours: 0, sixes: 0, fifties: 0, hundreds: 0, highest: null },
    bowling: { ...none, wickets: 0, maidens: 0, best: null },
  };
}

function countBatting(sum: Batting, { runs, balls, fours, sixes, out }: BattingLine): void {
  sum.innings += 1;
  sum.runs += runs;
  sum.balls += balls;
  sum.fours += fours;
  sum.sixes += sixes;
  if (out !== null) sum.dismissals += 1;
  if (runs >= 100) sum.hundreds += 1;
  else if (runs >= 50) sum.fifties += 1;
  const { highest } = sum;
  const notOut = out === null;
  if (highest === null || runs > highest.runs || (runs === highest.runs && notOut)) sum.highest = { runs, notOut };
}

function countBowling(sum: Bowling, { balls, runs, wickets, maidens }: BowlingLine): void {
  sum.innings += 1;
  sum.balls += balls;
  sum.runs += runs;
  sum.wickets += wickets;
  sum.maidens += maidens;
  const { best } = sum;
  const isBetter = best === null || wickets > best.wickets || (wickets === best.wickets && runs < best.runs);
  if (isBetter) sum.best = { wickets, runs };
}
