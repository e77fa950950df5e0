/** One ranking, men or women: what changed, from where it is computed again, and what readers see. */
import { z } from 'zod';
import { changedSince } from '../cricket/changes.ts';
import type { Format } from '../cricket/match.ts';
import { headOf, publish } from '../cricket/publish.ts';
import { regionOf } from '../cricket/regions.ts';
import type { JobContext } from '../define.ts';
import { type CheckpointList, checkpointList, dropCheckpoints, findStart, keepCheckpoints } from './checkpoints.ts';
import type { Standing } from './method.ts';
import { type MethodName, rankerOf, recipe } from './methods.ts';
import { type Played, playedOf } from './played.ts';

export interface Wanted {
  readonly format: Format;
  readonly gender: 'male' | 'female';
  readonly method: MethodName;
  readonly asOf: string;
  /** False for a table of an earlier day, which is kept beside the current one. */
  readonly isCurrent: boolean;
  readonly minMatches: number;
}

export interface Updated {
  readonly id: string;
  readonly rows: number;
  readonly changed: number;
}

/** Undefined where there is no match of that format, and no table. */
export async function updateRanking(wanted: Wanted, ctx: JobContext): Promise<Updated | undefined> {
  const { documents } = ctx;
  const { format, gender, method, asOf, isCurrent } = wanted;
  const scope = `${format}/${gender}`;
  const current = `${scope}/${method}`;
  const id = isCurrent ? current : `${current}@${asOf}`;
  const label = `${ctx.id}.${ctx.fence}`;
  const head = await headOf(documents, 'ranking_tables', current);
  const list = head?.['recipe'] === recipe ? checkpointList.parse(head['checkpoints']) : [];
  const { inputs, from } = await changedSince(documents, scope, head?.inputs ?? 0);
  if (inputs === 0 && head === undefined) return undefined;
  const ranker = rankerOf(format, method);
  const { reachesBackDays } = ranker;
  const { start, valid } = await findStart(documents, current, list, { from, reachesBackDays, until: asOf });
  const matches = await matchesAfter(wanted, start?.day ?? '', ctx);
  const { standings, checkpoints } = ranker.run(start, matches, asOf, wanted);
  const namesAt = nameBook(start?.names ?? {}, matches);
  ctx.log('ranking computed', { table: id, since: start?.day ?? 'the first match', matches: matches.length });
  const made = checkpoints.map(({ day, state }) => ({ day, state, names: namesAt(day) }));
  const kept = isCurrent ? [...valid, ...(await keepCheckpoints(documents, current, label, made))] : [];
  const rows = standings.map((standing, at) => rowOf(standing, at + 1, namesAt(asOf), wanted));
  const changed = await countChanged(id, rows, ctx);
  const facts = { format, gender, method, recipe, checkpoints: kept };
  const table = { id, heads: 'ranking_tables', rowsIn: 'rankings', inputs, asOf, label, facts, rows };
  const isPublished = await publish(documents, table);
  if (isCurrent) await dropUnnamed({ current, list, kept, isPublished }, ctx);
  return { id, rows: rows.length, changed: isPublished ? changed : 0 };
}

/** After a newer table was found, what this run kept is named by nobody. */
async function dropUnnamed(
  {
    current,
    list,
    kept,
    isPublished,
  }: { current: string; list: CheckpointList; kept: CheckpointList; isPublished: boolean },
  { documents }: JobContext,
): Promise<void> {
  if (isPublished) await dropCheckpoints(documents, current, list, kept);
  else await dropCheckpoints(documents, current, kept, list);
}

async function matchesAfter(
  { format, gender, asOf }: Wanted,
  day: string,
  { documents, signal }: JobContext,
): Promise<Played[]> {
  // An order is `<day>/<match id>`; `0` follows `/`, and digits and letters follow that.
  const order = { lt: `${asOf}0`, ...(day === '' ? {} : { gte: `${day}0` }) };
  const filter = { format, gender, order };
  const matches: Played[] = [];
  for await (const document of documents.stream('matches', { filter, sort: [{ field: 'order' }] })) {
    signal.throwIfAborted();
    const played = playedOf(document);
    if (played !== undefined) matches.push(played);
  }
  return matches;
}

/** Team id → its name on a day: that of its latest match until then. */
function nameBook(before: Readonly<Record<string, string>>, matches: readonly Played[]) {
  return (day: string): Record<string, string> => {
    const names = { ...before };
    for (const { date, teams, names: called } of matches) {
      if (date > day) break;
      for (const [at, team] of teams.entries()) names[team] = called[at] ?? team;
    }
    return names;
  };
}

function rowOf(
  { teamId, rating, exact, matches }: Standing,
  position: number,
  names: Readonly<Record<string, string>>,
  { format, gender, method, asOf }: Wanted,
) {
  return {
    position,
    teamId,
    team: names[teamId] ?? teamId,
    category: gender === 'male' ? 'men' : 'women',
    region: regionOf(teamId),
    format,
    method,
    rating,
    matches,
    exact,
    asOf,
  };
}

const shown = z.object({
  teamId: z.string(),
  position: z.number(),
  rating: z.number(),
  exact: z.record(z.string(), z.number()),
});

/** Rows that are new, gone, or differ in place or rating. */
async function countChanged(
  id: string,
  rows: readonly z.output<typeof shown>[],
  { documents }: JobContext,
): Promise<number> {
  const head = await headOf(documents, 'ranking_tables', id);
  const before = new Map<string, string>();
  const print = ({ position, rating, exact }: z.output<typeof shown>): string =>
    JSON.stringify([position, rating, Object.entries(exact).toSorted(([a], [b]) => (a < b ? -1 : 1))]);
  if (head !== undefined) {
    const filter = { table: id, label: head.label };
    for await (const document of documents.stream('rankings', { filter })) {
      const row = shown.parse(document);
      before.set(row.teamId, print(row));
    }
  }
  const differs = rows.filter((row) => before.get(row.teamId) !== print(row)).length;
  const now = new Set(rows.map(({ teamId }) => teamId));
  return differs + [...before.keys()].filter((team) => !now.has(team)).length;
}
