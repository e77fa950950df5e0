import { z } from 'zod';
import { defineJob } from '../../../jobs/define.ts';

export default defineJob({
  name: 'fleet-report',
  summary: 'Mail what waits, what died and what is broken in the fleet.',
  payload: z.strictObject({ to: z.email() }),
  result: z.object({ mail: z.string(), rows: z.int() }),
  policy: { timeoutMs: 60_000 },
  schedule: { cron: '0 6 * * *', timeZone: 'UTC', payload: { to: 'operations@example.com' } },
});
