/** `/v1/rankings`, `/v1/points-tables`, `/v1/player-statistics`: what the cricket jobs computed. */
import { z } from 'zod';
import { attribution } from '../jobs/cricket/attribution.ts';
import { keyPart } from '../jobs/cricket/publish.ts';
import { regions } from '../jobs/cricket/regions.ts';
import type { Documents, TenantDocuments } from '../runtime/documents.ts';
import { answerCached } from '../runtime/result-cache.ts';
import { askDocuments, documentsOf, storeMissing } from './kept-documents.ts';
import { defineRoute, noBody, notFound, nothing, pageLimit, type Route } from './route.ts';
import { readTable, shownRow, type TableHead, tableHead, tableHeads } from './tables.ts';

export interface TableRouteParts {
  /** Undefined where nothing keeps documents. */
  readonly documents?: Documents | undefined;
}

type OfTenant = (tenant: string) => TenantDocuments;

const limit = pageLimit(100);
const rows = z.array(z.record(z.string(), z.unknown()));
const common = { method: 'GET', tag: 'tables', scope: 'jobs', params: nothing, body: noBody } as const;

export function tableRoutes({ documents }: TableRouteParts): Route[] {
  const of = (tenant: string): TenantDocuments => documentsOf(documents, tenant);
  return [rankingRoute(of), ...(['points-table', 'players'] as const).map((kind) => seasonRoute(of, kind))];
}

function rankingRoute(of: OfTenant): Route {
  return defineRoute({
    ...common,
    path: '/v1/rankings',
    operationId: 'getRanking',
    summary: 'A ranking of cricket teams, best first, as `ranking-update` computed it last.',
    query: z.strictObject({
      format: z.enum(['odi', 't20i', 'test']),
      method: z.enum(['icc', 'elo', 'glicko2']).default('icc'),
      category: z.enum(['men', 'women']).default('men'),
      region: z
        .enum(regions)
        .optional()
        .describe('Teams of one ICC region; positions stay those of the whole ranking.'),
      asOf: z.iso.date().optional().describe('One that a job computed for that day; default: the current one.'),
      limit,
    }),
    answers: {
      200: {
        description:
          'The ranking. Cached until the next `ranking-update`, for at most 30 minutes; with `asOf` for a day.',
        schema: z.object({ table: z.string(), asOf: z.string(), attribution: z.string(), rows }),
      },
      404: { description: 'Nobody has computed it yet.' },
      ...storeMissing,
    },
    handle: async ({ query, credential }) => {
      const documents = of(credential.tenant);
      const { format, method, category, region, asOf } = query;
      const id = `${format}/${category === 'men' ? 'male' : 'female'}/${method}${asOf === undefined ? '' : `@${asOf}`}`;
      // A table of a day that is over changes only when somebody has it computed anew, which drops it.
      const keep = asOf === undefined ? 'medium' : 'day';
      const body = await askDocuments(() =>
        answerCached(documents, { topic: 'rankings', keep, asked: query }, async () => {
          const head = await tableHead(documents, 'ranking_tables', id);
          if (head === undefined) throw notFound();
          const wanted = {
            filter: region === undefined ? {} : { region },
            sort: [{ field: 'position' }],
            limit: Number(query.limit),
          };
          const table = await readTable(documents, { heads: 'ranking_tables', rowsIn: 'rankings' }, head, wanted);
          const stays = isStill(documents, 'ranking_tables', [table.head]);
          const shown = { table: id, asOf: table.head['asOf'], attribution, rows: table.rows.map(shownRow) };
          return { answer: shown, isStill: stays };
        }),
      );
      return { status: 200, body };
    },
  });
}

const places = {
  'points-table': { heads: 'stats_tables', rowsIn: 'points_table_rows' },
  players: { heads: 'stats_tables', rowsIn: 'player_statistics' },
} as const;

function seasonRoute(of: OfTenant, kind: keyof typeof places): Route {
  const isPlayers = kind === 'players';
  return defineRoute({
    ...common,
    path: isPlayers ? '/v1/player-statistics' : '/v1/points-tables',
    operationId: isPlayers ? 'getPlayerStatistics' : 'getPointsTables',
    summary: isPlayers
      ? 'Batting and bowling of the players of a season, one table for each competition, as `stats-calculation` computed them last.'
      : 'Points tables of a season with net run rates, one for each competition, as `stats-calculation` computed them last.',
    query: z.strictObject({
      season: z.string().min(1).max(40).describe('Such as `2024` or `2007/08`.'),
      competition: z.string().min(1).max(200).optional(),
      gender: z.enum(['male', 'female']).optional(),
      ...(isPlayers ? { order: z.enum(['runs', 'wickets']).default('runs').describe('Most first.') } : {}),
      limit,
    }),
    answers: {
      200: {
        description: 'All tables of that choice, at most 60 s old; an empty list where nothing was computed.',
        schema: z.object({
          attribution: z.string(),
          tables: z.array(
            z.object({
              table: z.string(),
              competition: z.string().nullable(),
              part: z.string().nullable().describe('Group or stage.'),
              gender: z.string().nullable(),
              matchType: z.string().nullable(),
              complete: z.boolean().describe('Every fixture up to the last match is accounted for.'),
              rows,
            }),
          ),
        }),
      },
      ...storeMissing,
    },
    handle: async ({ query, credential }) => {
      const documents = of(credential.tenant);
      const { season, competition, gender, limit: most } = query;
      const body = await askDocuments(() =>
        answerCached(documents, { topic: 'stats', keep: 'minute', asked: [kind, query] }, async () => {
          const filter = { kind, season, ...(gender === undefined ? {} : { gender }) };
          const heads = (await tableHeads(documents, 'stats_tables', filter)).filter((head) => isOf(head, competition));
          const sort = isPlayers
            ? [{ field: 'order' in query && query.order === 'wickets' ? 'wickets' : 'runs', descending: true }]
            : [{ field: 'position' }];
          const tables = [];
          for (const head of heads)
            tables.push(await readTable(documents, places[kind], head, { sort, limit: Number(most) }));
          const stays = isStill(
            documents,
            'stats_tables',
            tables.map(({ head }) => head),
          );
          const shown = tables.map(({ head, rows: read }) => ({
            table: head._id,
            competition: head['competition'] ?? null,
            part: head['part'] ?? null,
            gender: head['gender'] ?? null,
            matchType: head['matchType'] ?? null,
            complete: head['complete'] === true,
            rows: read.map(shownRow),
          }));
          return { answer: { attribution, tables: shown }, isStill: stays };
        }),
      );
      return { status: 200, body };
    },
  });
}

function isOf({ competition }: TableHead, wanted: string | undefined): boolean {
  return wanted === undefined || (typeof competition === 'string' && keyPart(competition) === keyPart(wanted));
}

/** Whether readers still see these tables. */
function isStill(documents: TenantDocuments, heads: string, tables: readonly TableHead[]): () => Promise<boolean> {
  return async () => {
    for (const { _id, _version } of tables)
      if ((await tableHead(documents, heads, _id))?._version !== _version) return false;
    return true;
  };
}
