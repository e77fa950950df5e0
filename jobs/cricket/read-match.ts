/** A Cricsheet file → the match as it is kept. Pure. Throws `BAD_SOURCE` for what is no match, with the place and the reason. */
import { z } from 'zod';
import { giveUp, type JobError } from '../errors.ts';
import { type CricsheetFile, cricsheetFile } from './cricsheet.ts';
import { type Format, type Outcome, playOrder, type ReadMatch } from './match.ts';
import { scorecard } from './scorecard.ts';
import { type Team, teamOf } from './teams.ts';

const bad = (id: string, reason: string): JobError => giveUp('BAD_SOURCE', `Match ${id}: ${reason}`);

/** `id` is the match id, which a Cricsheet file carries in its name alone. */
export function readMatch(id: string, text: string): ReadMatch {
  const file = parseFile(id, text);
  const { meta, info } = file;
  const date = info.dates.toSorted()[0] ?? '';
  const teams = teamsOf(id, info.teams, date);
  const sideOf = (name: string): string => {
    const found = teams.find((team) => team.name === name);
    if (found === undefined) throw bad(id, `"${name}" is none of its teams (${info.teams.join(', ')})`);
    return found.id;
  };
  const idOf = (name: string): string => {
    const { people } = info.registry;
    const known = Object.hasOwn(people, name) ? people[name] : undefined;
    if (known === undefined) throw bad(id, `registry.people has no id of "${name}"`);
    return known;
  };
  const ballsPerOver = info.balls_per_over;
  const innings = file.innings.map((raw) => {
    checkRuns(id, raw);
    return scorecard(raw, { team: sideOf(raw.team), ballsPerOver, idOf });
  });
  return {
    _id: id,
    revision: meta.revision,
    created: meta.created,
    dataVersion: meta.data_version,
    date,
    dates: info.dates.toSorted(),
    order: playOrder(date, id),
    season: String(info.season),
    gender: info.gender,
    matchType: info.match_type,
    teamType: info.team_type,
    format: formatOf(info),
    competition: info.event?.name ?? null,
    stage: info.event?.stage ?? null,
    group: info.event?.group === undefined ? null : String(info.event.group),
    matchNumber: info.event?.match_number ?? null,
    venue: info.venue ?? null,
    city: info.city ?? null,
    overs: info.overs ?? null,
    ballsPerOver,
    teams,
    outcome: outcomeOf(id, info.outcome, sideOf),
    innings,
    players: playersOf(file, sideOf, idOf),
  };
}

function parseFile(id: string, text: string): CricsheetFile {
  let json: unknown;
  try {
    // A byte order mark is no part of JSON, and some editors leave one.
    json = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw giveUp('BAD_SOURCE', `Match ${id}: expected JSON, got ${JSON.stringify(text.slice(0, 40))}`, {
      cause: error,
    });
  }
  const parsed = cricsheetFile.safeParse(json);
  if (!parsed.success) {
    const problems = z.prettifyError({ issues: parsed.error.issues.slice(0, 3) });
    throw bad(id, `not a Cricsheet file: ${problems}`);
  }
  return parsed.data;
}

function teamsOf(id: string, names: readonly string[], date: string): [Team, Team] {
  const [first = '', second = ''] = names;
  const teams: [Team, Team] = [teamOf(first, date), teamOf(second, date)];
  if (teams[0].id === teams[1].id) throw bad(id, `"${first}" plays itself`);
  return teams;
}

/** A file whose parts do not add up was cut or edited: no table should be made of it. */
function checkRuns(id: string, raw: CricsheetFile['innings'][number]): void {
  for (const { over, deliveries } of raw.overs ?? []) {
    for (const { runs, extras = {} } of deliveries) {
      const sum = Object.values(extras).reduce<number>((all, one) => all + (one ?? 0), 0);
      if (runs.total !== runs.batter + runs.extras || runs.extras !== sum)
        throw bad(id, `${raw.team}, over ${over}: the runs of a ball do not add up (${JSON.stringify(runs)})`);
    }
  }
}

function formatOf({ team_type: kind, match_type: type }: CricsheetFile['info']): Format | null {
  if (kind !== 'international') return null;
  switch (type) {
    case 'Test':
      return 'test';
    case 'ODI':
      return 'odi';
    case 'T20':
    case 'IT20':
      return 't20i';
    default:
      return null;
  }
}

function outcomeOf(id: string, raw: CricsheetFile['info']['outcome'], sideOf: (name: string) => string): Outcome {
  const { winner, result } = raw;
  if (winner === undefined && result === undefined) throw bad(id, 'the outcome names neither a winner nor a result');
  const settled = raw.eliminator ?? raw.bowl_out;
  return {
    result: winner === undefined ? (result ?? 'no result') : 'win',
    winner: winner === undefined ? null : sideOf(winner),
    tieWinner: settled === undefined ? null : sideOf(settled),
    method: raw.method ?? null,
    by: raw.by ?? null,
  };
}

function playersOf(
  { info, innings }: CricsheetFile,
  sideOf: (name: string) => string,
  idOf: (name: string) => string,
): ReadMatch['players'] {
  const players = new Map<string, ReadMatch['players'][number]>();
  const add = (name: string, team: string): void => {
    const id = idOf(name);
    if (!players.has(id)) players.set(id, { id, name, team: sideOf(team) });
  };
  for (const [team, names] of Object.entries(info.players)) for (const name of names) add(name, team);
  for (const { overs = [] } of innings)
    for (const { deliveries } of overs)
      for (const { replacements } of deliveries)
        for (const { in: name, team } of replacements?.match ?? []) add(name, team);
  return [...players.values()];
}
