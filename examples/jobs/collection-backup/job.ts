import { z } from 'zod';
import { defineJob } from '../../../jobs/define.ts';

export default defineJob({
  name: 'collection-backup',
  summary: 'Write all documents of a collection to the object store, as gzipped JSON Lines.',
  payload: z.strictObject({ collection: z.string().regex(/^[a-z][a-z0-9_]{0,47}$/) }),
  result: z.object({ object: z.string(), documents: z.int(), sizeBytes: z.int() }),
  policy: { timeoutMs: 3_600_000, concurrency: 1 },
  schedule: { cron: '30 2 * * *', timeZone: 'UTC', payload: { collection: 'rates' } },
  collections: { rates: {} },
});
