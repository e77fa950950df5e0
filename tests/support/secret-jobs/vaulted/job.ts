import { z } from 'zod';
import { defineJob, secret } from '../../../../jobs/define.ts';

export default defineJob({
  name: 'vaulted',
  summary: 'Is given secrets: for tests of what becomes of them.',
  payload: z.strictObject({
    act: z.enum(['hash', 'leak', 'pass']).default('hash'),
    token: secret(z.string().min(4)),
    accounts: z.array(z.strictObject({ user: z.string(), pin: secret(z.int()).optional() })).default([]),
    note: z.string().default(''),
  }),
  result: z.object({ sha256: z.string(), pins: z.number() }),
  policy: { attempts: 1, backoff: { baseMs: 5, maxMs: 10 }, perKey: { concurrency: 100 } },
  uniqueKey: ({ token, note }) => `${token} ${note}`,
  limitKey: ({ token }) => token,
});
