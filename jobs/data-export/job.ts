import { z } from 'zod';
import { defineJob } from '../define.ts';

const scalar = z.union([z.string().max(1_000), z.number(), z.boolean(), z.null()]);
const bounds = z.strictObject({
  in: z.array(scalar).max(100).exactOptional(),
  gt: scalar.exactOptional(),
  gte: scalar.exactOptional(),
  lt: scalar.exactOptional(),
  lte: scalar.exactOptional(),
});
const column = z.strictObject({
  field: z.string().min(1).max(500).describe('A path with dots: `buyer.city`; `_id` is the id'),
  header: z.string().min(1).max(200).optional().describe('Default: the field'),
  type: z
    .enum(['text', 'number', 'boolean', 'date', 'json'])
    .default('text')
    .describe('date: an instant, RFC 3339; json: whatever it is, as JSON. Ids and account numbers are text'),
});

export default defineJob({
  name: 'data-export',
  aliases: ['data_export'],
  summary: 'Exports a collection of documents as CSV, XLSX, JSON, JSON Lines or PDF.',
  payload: z.strictObject({
    collection: z.string().regex(/^[a-z][a-z0-9_]{0,47}$/, 'expected the name of a collection'),
    filter: z
      .record(z.string().max(500), z.union([scalar, bounds]))
      .default({})
      .describe('Field → a scalar, or `{in, gt, gte, lt, lte}`; all must hold'),
    columns: z
      .array(column)
      .min(1)
      .max(200)
      .refine(
        (columns) => new Set(columns.map(({ field, header = field }) => header)).size === columns.length,
        'expected headers that differ',
      )
      .describe('In this order; a PDF takes at most 20'),
    format: z.enum(['csv', 'xlsx', 'json', 'jsonl', 'pdf']).describe('At most 5,000,000 rows, xlsx 100,000, pdf 5,000'),
    gzip: z.boolean().default(false),
    unmasked: z
      .boolean()
      .default(false)
      .meta({ scope: 'export:unmasked' })
      .describe('Personal data in full; over HTTP only for keys with the scope `export:unmasked`'),
    notify: z
      .strictObject({
        email: z.email().max(254),
        locale: z.string().min(2).max(35).default('en'),
      })
      .optional()
      .describe('Who gets a mail when the file is there, with a link that expires'),
  }),
  result: z.object({
    key: z.string().startsWith('object:').describe('Kept for 7 days'),
    rows: z.int().nonnegative(),
    bytes: z.int().nonnegative(),
    sha256: z.string().describe('Of the file, hex'),
    bound: z.string().nullable().describe('The highest id when the export began: documents behind it are not in it'),
    expiresAt: z.iso.datetime().describe('When the file is deleted'),
  }),
  collections: {},
  policy: {
    isolation: 'child',
    order: 'fair',
    concurrency: 2,
    timeoutMs: 3_600_000,
    child: { memoryMb: 1_024, diskMb: 8_192, cpuSeconds: 3_600, processes: 8 },
  },
});
