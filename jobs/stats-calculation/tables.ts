/** Which tables a season gives, and their rows as documents. Pure. */
import { createHash } from 'node:crypto';
import type { KeptMatch } from '../cricket/match.ts';
import { oversText } from '../cricket/overs.ts';
import { keyPart } from '../cricket/publish.ts';
import { teamOf } from '../cricket/teams.ts';
import { playerTable } from './player-table.ts';
import { type Fixture, pointsTable } from './points-table.ts';
import { printedBatting, printedBowling } from './printed.ts';

export type Kind = 'points-table' | 'players';

export interface PlannedFixture extends Fixture {
  readonly competition?: string | undefined;
}

/** What readers choose a table by; null where a selection of matches has no one answer. */
export interface TableFacts {
  readonly kind: Kind;
  readonly season: string | null;
  readonly competition: string | null;
  readonly gender: string | null;
  readonly matchType: string | null;
  /** Group or stage of a competition that has several tables. */
  readonly part: string | null;
  readonly matches: number;
  readonly complete: boolean;
}

export interface MadeTable {
  readonly id: string;
  readonly facts: TableFacts;
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

/** Rounds after the league: they decide who wins, and give no points. */
const knockout = /final|qualifier|eliminator|knock|play-?\s?off|challenger|place/i;
/** Two sides play a series, not a league. */
const teamsOfALeague = 3;

/** One table for each competition of a season; of points for each group and stage of it. */
export function seasonTables(
  kind: Kind,
  season: string,
  matches: readonly KeptMatch[],
  fixtures: readonly PlannedFixture[],
): MadeTable[] {
  const groups = new Map<string, { facts: Omit<TableFacts, 'matches' | 'complete'>; matches: KeptMatch[] }>();
  for (const match of matches) {
    const facts = factsOf(kind, season, match);
    if (facts === undefined) continue;
    const { competition, gender, matchType, part } = facts;
    const parts = [
      kind,
      season,
      competition ?? 'none',
      gender ?? '',
      matchType ?? '',
      ...(part === null ? [] : [part]),
    ];
    const id = parts.map(keyPart).join('/');
    const group = groups.get(id) ?? { facts, matches: [] };
    group.matches.push(match);
    groups.set(id, group);
  }
  return [...groups].flatMap(([id, group]) => {
    const sides = new Set(group.matches.flatMap(({ teams }) => teams.map((team) => team.id)));
    if (kind === 'points-table' && sides.size < teamsOfALeague) return [];
    return [makeTable(id, group.facts, group.matches, ofCompetition(fixtures, group.facts.competition, sides))];
  });
}

/** One table of exactly these matches. */
export function selectionTable(
  kind: Kind,
  matches: readonly KeptMatch[],
  fixtures: readonly PlannedFixture[],
): MadeTable {
  const ids = matches.map(({ _id }) => _id).toSorted();
  const hash = createHash('sha256').update(ids.join()).digest('hex').slice(0, 16);
  const facts = { kind, season: null, competition: null, gender: null, matchType: null, part: null };
  return makeTable(`${kind}/selection/${hash}`, facts, matches, fixtures);
}

function factsOf(
  kind: Kind,
  season: string,
  { competition, gender, matchType, stage, group, overs }: KeptMatch,
): Omit<TableFacts, 'matches' | 'complete'> | undefined {
  const facts = { kind, season, competition, gender, matchType };
  if (kind === 'players') return { ...facts, part: null };
  // A league of matches without limited overs has rules of its own, which are not here.
  if (competition === null || overs === null || (stage !== null && knockout.test(stage))) return undefined;
  return { ...facts, part: group ?? stage };
}

function ofCompetition(
  fixtures: readonly PlannedFixture[],
  competition: string | null,
  sides: ReadonlySet<string>,
): PlannedFixture[] {
  return fixtures.filter((fixture) =>
    fixture.competition === undefined
      ? fixture.teams.every((name) => sides.has(teamOf(name, fixture.date).id))
      : competition !== null && keyPart(fixture.competition) === keyPart(competition),
  );
}

function makeTable(
  id: string,
  facts: Omit<TableFacts, 'matches' | 'complete'>,
  matches: readonly KeptMatch[],
  fixtures: readonly PlannedFixture[],
): MadeTable {
  const ballsPerOver = matches[0]?.ballsPerOver ?? 6;
  const { rows, complete } = pointsTable(matches, fixtures);
  const shown = facts.kind === 'players' ? playerRows(matches, ballsPerOver) : pointsRows(rows, ballsPerOver);
  const choice = { season: facts.season, competition: facts.competition, gender: facts.gender };
  return {
    id,
    facts: { ...facts, matches: matches.length, complete },
    rows: shown.map((row) => ({ ...row, ...choice })),
  };
}

function pointsRows(rows: ReturnType<typeof pointsTable>['rows'], ballsPerOver: number) {
  return rows.map(({ for: scored, against, ...row }) => ({
    ...row,
    runsFor: scored.runs,
    oversFor: oversText(scored.balls, ballsPerOver),
    runsAgainst: against.runs,
    oversAgainst: oversText(against.balls, ballsPerOver),
  }));
}

function playerRows(matches: readonly KeptMatch[], ballsPerOver: number) {
  return playerTable(matches).map(({ playerId, player, teamId, matches: played, batting, bowling }) => {
    const bat = printedBatting(batting);
    const bowl = printedBowling(bowling, ballsPerOver);
    return {
      playerId,
      player,
      teamId,
      matches: played,
      innings: batting.innings,
      runs: batting.runs,
      ballsFaced: batting.balls,
      dismissals: batting.dismissals,
      highest: bat.highest,
      battingAverage: bat.average,
      battingStrikeRate: bat.strikeRate,
      fours: batting.fours,
      sixes: batting.sixes,
      fifties: batting.fifties,
      hundreds: batting.hundreds,
      ballsBowled: bowling.balls,
      overs: bowl.overs,
      runsConceded: bowling.runs,
      wickets: bowling.wickets,
      maidens: bowling.maidens,
      best: bowl.best,
      bowlingAverage: bowl.average,
      economy: bowl.economy,
      bowlingStrikeRate: bowl.strikeRate,
    };
  });
}
