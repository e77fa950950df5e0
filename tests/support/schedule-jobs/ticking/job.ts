import { z } from 'zod';
import { defineJob } from '../../../../jobs/define.ts';

export default defineJob({
  name: 'ticking',
  aliases: ['tick_tock'],
  summary: 'Leaves a mark for each of its runs: for tests of schedules.',
  payload: z.strictObject({ ms: z.int().min(0).max(60_000).default(0), fail: z.boolean().default(false) }),
  result: z.object({ fence: z.number(), from: z.number(), to: z.number() }),
  policy: { attempts: 3, backoff: { baseMs: 5, maxMs: 10 }, timeoutMs: 60_000, graceMs: 400, concurrency: 4 },
  schedule: { cron: '*/2 * * * * *', timeZone: 'Europe/Berlin', payload: { ms: 150 }, missed: 'all' },
});
