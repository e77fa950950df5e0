import { z } from 'zod';
import { defineJob } from '../../../../jobs/define.ts';
import { tickPolicy, tickResult } from '../../ticking.ts';

export default defineJob({
  name: 'tick-once',
  summary: 'A schedule of the fault harness: one run for all ticks that nobody was there for.',
  payload: z.strictObject({}),
  result: tickResult,
  policy: tickPolicy,
  schedule: { cron: '*/5 * * * * *', timeZone: 'Europe/Berlin', payload: {}, missed: 'once', overlap: 'queue' },
});
