import { everything, inputsOf } from '../cricket/changes.ts';
import { type KeptMatch, keptMatch } from '../cricket/match.ts';
import { publish } from '../cricket/publish.ts';
import { defineHandler, type JobContext, type Payload } from '../define.ts';
import { giveUp } from '../errors.ts';
import { seasonFixtures } from './fixtures.ts';
import job from './job.ts';
import { type Kind, type MadeTable, seasonTables, selectionTable } from './tables.ts';

/** More than any season has: the memory of one job is bounded. */
const maxMatches = 20_000;
const idsAtOnce = 100;

const rowsIn: Readonly<Record<Kind, string>> = { players: 'player_statistics', 'points-table': 'points_table_rows' };

async function seasonMatches(season: string, { documents, signal }: JobContext): Promise<KeptMatch[]> {
  const matches: KeptMatch[] = [];
  for await (const document of documents.stream('matches', { filter: { season }, sort: [{ field: 'order' }] })) {
    signal.throwIfAborted();
    if (matches.length === maxMatches)
      throw giveUp(
        'LIMIT_EXCEEDED',
        `The season ${season} has more than ${maxMatches} matches; name them by matchIds.`,
      );
    matches.push(keptMatch.parse(document));
  }
  return matches;
}

async function chosenMatches(ids: readonly string[], { documents }: JobContext): Promise<KeptMatch[]> {
  const unique = [...new Set(ids)];
  const matches: KeptMatch[] = [];
  for (let at = 0; at < unique.length; at += idsAtOnce) {
    const filter = { _id: { in: unique.slice(at, at + idsAtOnce) } };
    for await (const document of documents.stream('matches', { filter })) matches.push(keptMatch.parse(document));
  }
  const missing = unique.filter((id) => !matches.some(({ _id }) => _id === id));
  if (missing.length > 0)
    throw giveUp(
      'BAD_SOURCE',
      `${missing.length} of the matches are not kept (${missing.slice(0, 5).join(', ')}): take them in with match-aggregation first.`,
    );
  return matches;
}

async function make({ kind, season, matchIds, fixtures }: Payload<typeof job>, ctx: JobContext): Promise<MadeTable[]> {
  if (matchIds !== undefined) return [selectionTable(kind, await chosenMatches(matchIds, ctx), fixtures ?? [])];
  const planned = await seasonFixtures(ctx.documents, season ?? '', undefined, ctx.id);
  return seasonTables(kind, season ?? '', await seasonMatches(season ?? '', ctx), planned);
}

/** Tables of the season that these matches no longer give, because a correction moved them. */
async function emptied(kind: Kind, season: string, made: readonly MadeTable[], { documents }: JobContext) {
  const gone: MadeTable[] = [];
  for await (const { _id, rows, ...head } of documents.stream('stats_tables', { filter: { kind, season } })) {
    if (rows === 0 || made.some(({ id }) => id === _id)) continue;
    const { competition, gender, matchType, part } = head;
    const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
    const facts = {
      competition: text(competition),
      gender: text(gender),
      matchType: text(matchType),
      part: text(part),
    };
    gone.push({ id: _id, facts: { kind, season, ...facts, matches: 0, complete: false }, rows: [] });
  }
  return gone;
}

export default defineHandler(job, {
  async run(payload, ctx) {
    const { documents } = ctx;
    const { kind, season, fixtures } = payload;
    // Before the matches are read: what comes in meanwhile is newer than this table.
    if (season !== undefined && fixtures !== undefined) await seasonFixtures(documents, season, fixtures, ctx.id);
    const inputs = await inputsOf(documents, everything);
    const made = await make(payload, ctx);
    const gone = season === undefined ? [] : await emptied(kind, season, made, ctx);
    ctx.progress(60, `${made.length} tables`);
    for (const { id, facts, rows } of [...made, ...gone]) {
      ctx.signal.throwIfAborted();
      const label = `${ctx.id}.${ctx.fence}`;
      const table = {
        id,
        heads: 'stats_tables',
        rowsIn: rowsIn[kind],
        inputs,
        asOf: '',
        label,
        facts: { ...facts },
        rows,
      };
      const isPublished = await publish(documents, table);
      ctx.log(isPublished ? 'table written' : 'a newer table is there', { table: id, rows: rows.length });
    }
    await documents.removePrefix('cache', 'stats:');
    return {
      rows: made.reduce((sum, { rows }) => sum + rows.length, 0),
      complete: made.length > 0 && made.every(({ facts }) => facts.complete),
      tables: made.map(({ id }) => id),
    };
  },
});
