import { z } from 'zod';
import { defineJob } from '../../../../jobs/define.ts';
import { tickPolicy, tickResult } from '../../ticking.ts';

export default defineJob({
  name: 'tick',
  summary: 'The schedule of the fault harness: a run for every other second.',
  payload: z.strictObject({}),
  result: tickResult,
  policy: tickPolicy,
  schedule: { cron: '*/2 * * * * *', timeZone: 'Europe/Berlin', payload: {}, missed: 'all', overlap: 'queue' },
});
