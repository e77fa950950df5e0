import { z } from 'zod';
import { attribution } from '../cricket/attribution.ts';
import { defineJob } from '../define.ts';

const fixture = z.strictObject({
  date: z.iso.date(),
  teams: z.array(z.string().min(1).max(200)).length(2),
  abandoned: z.boolean().default(false).describe('Called off without a ball: a point for each side'),
  competition: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe('Of which competition; without it, of every one that both teams play in'),
});

export default defineJob({
  name: 'stats-calculation',
  aliases: ['stats_calculation'],
  summary:
    'Compute points tables with net run rates, or the batting and bowling of all players, from the matches taken in.',
  payload: z
    .strictObject({
      kind: z.enum(['points-table', 'players']),
      season: z
        .string()
        .min(1)
        .max(40)
        .optional()
        .describe('Such as `2024` or `2007/08`: one table for each competition of it'),
      matchIds: z
        .array(z.string().min(1).max(40))
        .min(1)
        .max(1_000)
        .optional()
        .describe('Instead of a season: one table of these matches'),
      fixtures: z
        .array(fixture)
        .max(5_000)
        .optional()
        .describe(
          'What was planned; kept for the season and used until others come. Without any a table says `complete: false`',
        ),
    })
    .refine(({ season, matchIds }) => (season === undefined) !== (matchIds === undefined), {
      error: 'expected either season or matchIds',
    }),
  result: z.object({
    rows: z.int().min(0),
    complete: z
      .boolean()
      .describe('Every fixture up to the last match was played or is known to be abandoned, in all tables'),
    tables: z.array(z.string()).describe('Their ids, for GET /v1/points-tables and /v1/player-statistics'),
  }),
  collections: {
    matches: { indexes: [['season', 'order']] },
    match_changes: {},
    season_fixtures: {},
    stats_tables: { indexes: [['kind', 'season']] },
    points_table_rows: {
      attribution,
      indexes: [
        ['table', 'label', 'position'],
        ['table', 'inputs'],
      ],
    },
    player_statistics: {
      attribution,
      indexes: [
        ['table', 'label', 'runs'],
        ['table', 'label', 'wickets'],
        ['table', 'inputs'],
      ],
    },
  },
  policy: { timeoutMs: 300_000, concurrency: 4 },
});
