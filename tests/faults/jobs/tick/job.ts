import { z } from 'zod';
import { defineJob } from '../../../../jobs/define.ts';

export default defineJob({
  name: 'tick',
  summary: 'The schedule of the fault harness: a run for every second.',
  payload: z.strictObject({}),
  result: z.object({ fence: z.number() }),
  policy: { attempts: 4, backoff: { baseMs: 100, maxMs: 200 }, timeoutMs: 30_000, concurrency: 2 },
  schedule: { cron: '* * * * * *', timeZone: 'Europe/Berlin', payload: {}, missed: 'all', overlap: 'queue' },
});
