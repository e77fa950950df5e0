import { z } from 'zod';
import { attribution } from '../cricket/attribution.ts';
import { defineJob } from '../define.ts';

export default defineJob({
  name: 'ranking-update',
  aliases: ['ranking_update'],
  summary:
    'Recompute the team rankings of ODI, T20I or Test cricket from the matches taken in: ICC points, Elo or Glicko-2.',
  payload: z.strictObject({
    format: z.enum(['odi', 't20i', 'test']).optional().describe('Without it, one job for each format'),
    method: z.enum(['icc', 'elo', 'glicko2']).default('icc'),
    asOf: z.iso
      .date()
      .optional()
      .describe('As it was at the end of that day, kept beside the current table; default: today in UTC'),
  }),
  result: z.object({
    rows: z.int().min(0).describe('Teams listed, men and women'),
    asOf: z.iso.date(),
    changed: z.int().min(0).describe('Rows that are new, gone or different'),
    tables: z.array(z.string()).describe('Their ids, for GET /v1/rankings'),
  }),
  collections: {
    matches: { indexes: [['format', 'gender', 'order']] },
    match_changes: {},
    match_intakes: {},
    ranking_tables: {},
    ranking_checkpoints: {},
    rankings: {
      attribution,
      indexes: [
        ['table', 'label', 'position'],
        ['table', 'inputs'],
      ],
    },
  },
  policy: { timeoutMs: 600_000, concurrency: 2 },
  // Matches grow older by a year on 1 May, and ranks change without any play.
  schedule: { cron: '5 0 1 5 *', timeZone: 'UTC', payload: {}, tenants: 'ranking_tables' },
});
