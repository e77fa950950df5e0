import { z } from 'zod';
import { defineJob } from '../define.ts';
import { exported, mail, receipt, report, welcome } from './payload.ts';

export default defineJob({
  name: 'email-sending',
  aliases: ['email_sending'],
  summary: 'Send one templated e-mail to one address.',
  payload: z.discriminatedUnion('template', [
    z.strictObject({ ...mail, template: z.literal('welcome'), variables: welcome.default({}) }),
    z.strictObject({ ...mail, template: z.literal('receipt'), variables: receipt }),
    z.strictObject({ ...mail, template: z.literal('export'), variables: exported }),
    z.strictObject({ ...mail, template: z.literal('report'), variables: report }),
  ]),
  result: z.object({ messageId: z.string() }),
  policy: { timeoutMs: 30_000, concurrency: 20, order: 'fair' },
});
