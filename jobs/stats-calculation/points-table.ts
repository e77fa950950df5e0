/** The points table of one competition, from its matches and what is known of its fixtures. Pure. */
import type { KeptMatch } from '../cricket/match.ts';
import { teamOf } from '../cricket/teams.ts';
import { addShare, compareRates, netRunRate, type Share, sharesOf } from './net-run-rate.ts';

/** A match as the organiser planned it. Ball-by-ball data lack what was abandoned before a ball. */
export interface Fixture {
  /** `YYYY-MM-DD`. */
  readonly date: string;
  readonly teams: readonly string[];
  /** True: called off without a ball, a point for each side. */
  readonly abandoned: boolean;
}

export interface PointsRow {
  readonly teamId: string;
  /** The name of its latest match. */
  readonly team: string;
  readonly position: number;
  readonly played: number;
  readonly won: number;
  readonly lost: number;
  readonly tied: number;
  readonly noResult: number;
  readonly points: number;
  /** Of the rate: what counts, not what was scored. */
  readonly for: Share;
  readonly against: Share;
  /** Three decimals, halves away from zero. */
  readonly netRunRate: number;
}

export interface PointsTable {
  readonly rows: readonly PointsRow[];
  /** Every fixture up to the last counted day was played or is known to be abandoned; false without fixtures. */
  readonly complete: boolean;
}

const win = 2;
const shared = 1;

interface Sums {
  readonly teamId: string;
  team: string;
  played: number;
  won: number;
  lost: number;
  tied: number;
  noResult: number;
  points: number;
  for: Share;
  against: Share;
}

/** `matches` in any order; each is counted once, the last with its id. Order of the rows: points, exact rate, name. */
export function pointsTable(matches: readonly KeptMatch[], fixtures: readonly Fixture[] = []): PointsTable {
  const unique = [...new Map(matches.map((match) => [match._id, match])).values()];
  const ordered = unique.toSorted((a, b) => (a.order < b.order ? -1 : 1));
  const sums = new Map<string, Sums>();
  for (const match of ordered) countMatch(match, sums);
  const byDay = new Map<string, KeptMatch[]>();
  for (const match of ordered) for (const day of match.dates) byDay.set(day, [...(byDay.get(day) ?? []), match]);
  const isPlayed = (fixture: Fixture): boolean => (byDay.get(fixture.date) ?? []).some((match) => isOf(fixture, match));
  const missing = fixtures.filter((fixture) => !isPlayed(fixture));
  for (const fixture of missing) if (fixture.abandoned) countAbandoned(fixture, sums);
  const lastDay = ordered.at(-1)?.date ?? '';
  const ballsPerOver = ordered[0]?.ballsPerOver ?? 6;
  return {
    rows: rank([...sums.values()], ballsPerOver),
    complete: fixtures.length > 0 && missing.every(({ date, abandoned }) => abandoned || date > lastDay),
  };
}

function rank(sums: readonly Sums[], ballsPerOver: number): PointsRow[] {
  const order = (a: Sums, b: Sums): number =>
    b.points - a.points || compareRates({ ...b, ballsPerOver }, { ...a, ballsPerOver }) || (a.team < b.team ? -1 : 1);
  return sums
    .toSorted(order)
    .map((row, at) => ({ ...row, position: at + 1, netRunRate: netRunRate({ ...row, ballsPerOver }) }));
}

function isOf({ date, teams }: Fixture, match: KeptMatch): boolean {
  const sides = teams.map((name) => teamOf(name, date).id);
  return match.teams.every(({ id }) => sides.includes(id));
}

function rowOf(sums: Map<string, Sums>, teamId: string, team: string): Sums {
  const row = sums.get(teamId) ?? emptyRow(teamId, team);
  row.team = team;
  sums.set(teamId, row);
  return row;
}

function emptyRow(teamId: string, team: string): Sums {
  const none = { runs: 0, balls: 0 };
  const counts = { played: 0, won: 0, lost: 0, tied: 0, noResult: 0, points: 0 };
  return { teamId, team, ...counts, for: none, against: none };
}

function countMatch(match: KeptMatch, sums: Map<string, Sums>): void {
  const [a, b] = match.teams.map(({ id, name }) => rowOf(sums, id, name));
  if (a === undefined || b === undefined) return;
  for (const row of [a, b]) countResult(row, match);
  const shares = sharesOf(match);
  const ofA = shares?.get(a.teamId);
  const ofB = shares?.get(b.teamId);
  if (ofA === undefined || ofB === undefined) return;
  a.for = addShare(a.for, ofA);
  a.against = addShare(a.against, ofB);
  b.for = addShare(b.for, ofB);
  b.against = addShare(b.against, ofA);
}

function countResult(row: Sums, { outcome }: KeptMatch): void {
  row.played += 1;
  const winner = outcome.winner ?? outcome.tieWinner;
  if (winner !== null) {
    if (winner === row.teamId) row.won += 1;
    else row.lost += 1;
    row.points += winner === row.teamId ? win : 0;
    return;
  }
  if (outcome.result === 'no result') row.noResult += 1;
  else row.tied += 1;
  row.points += shared;
}

function countAbandoned({ date, teams }: Fixture, sums: Map<string, Sums>): void {
  for (const name of new Set(teams)) {
    const { id } = teamOf(name, date);
    // A name of its latest match is newer than that of a plan.
    const row = rowOf(sums, id, sums.get(id)?.team ?? name);
    row.played += 1;
    row.noResult += 1;
    row.points += shared;
  }
}
