import { z } from 'zod';
import { attribution } from '../cricket/attribution.ts';
import { defineJob, inputFile } from '../define.ts';

const count = z.int().min(0);

export default defineJob({
  name: 'match-aggregation',
  aliases: ['match_aggregation'],
  summary:
    'Take in cricket matches from a Cricsheet JSON file or a zip of them, then have statistics and rankings follow.',
  payload: z.strictObject({
    source: inputFile().describe(
      'A Cricsheet JSON file named by its match id (`1422119.json`), or a zip of at most 5,000; at most 128 MB',
    ),
  }),
  result: z.object({
    added: count.describe('Matches that were not kept before'),
    replaced: count.describe('Matches kept in an older revision'),
    ignored: count.describe('Matches kept in this revision or a newer one'),
  }),
  collections: {
    matches: {
      attribution,
      indexes: [
        ['season', 'order'],
        ['format', 'gender', 'order'],
      ],
    },
    match_changes: {},
    match_intakes: {},
    ranking_tables: {},
  },
  policy: { timeoutMs: 600_000, concurrency: 2 },
});
