import { z } from 'zod';
import { defineJob } from '../../../../jobs/define.ts';
import { tickPolicy, tickResult } from '../../ticking.ts';

export default defineJob({
  name: 'tick-skip',
  summary: 'A schedule of the fault harness: no run for a tick that is a minute late.',
  payload: z.strictObject({}),
  result: tickResult,
  policy: tickPolicy,
  schedule: { cron: '*/5 * * * * *', timeZone: 'Europe/Berlin', payload: {}, missed: 'skip', overlap: 'queue' },
});
