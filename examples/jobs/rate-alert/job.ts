import { z } from 'zod';
import { defineJob } from '../../../jobs/define.ts';

const percent = z.number().positive().max(100);

export default defineJob({
  name: 'rate-alert',
  summary: 'Tell operations of exchange rates that moved much since the last look.',
  payload: z.strictObject({
    url: z.url({ protocol: /^https?$/ }).describe('Answers {"base": "EUR", "at": "…", "rates": {"INR": 98.2}}.'),
    alertPercent: percent.default(3),
    highPercent: percent.default(5),
    anomalyPercent: percent.default(10),
    userId: z.string().default('operations').describe('Who gets the notes in the app.'),
  }),
  result: z.object({ compared: z.int(), alerts: z.int() }),
  policy: { timeoutMs: 60_000 },
  schedule: { cron: '5 * * * *', timeZone: 'UTC', payload: { url: 'https://rates.example.com/latest' } },
  collections: { rates: {} },
});
