import { z } from 'zod';
import { defineJob } from '../../../jobs/define.ts';

export default defineJob({
  name: 'receipt-intake',
  summary: 'Take a photographed receipt in: small pictures of it, what it says, and a note to whoever sent it.',
  payload: z.strictObject({
    source: z.string().startsWith('object:').max(1_024).meta({ file: true }),
    userId: z.string().regex(/^[\w.:@-]{1,128}$/),
  }),
  result: z.object({ pictures: z.string(), text: z.string(), note: z.string() }).describe('The ids of the three jobs'),
  policy: { timeoutMs: 30_000 },
});
