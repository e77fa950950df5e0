import { z } from 'zod';
import { defineJob } from '../../../../jobs/define.ts';

export default defineJob({
  name: 'load',
  summary: 'One job of the fault harness.',
  payload: z.strictObject({
    key: z.string(),
    act: z.enum(['work', 'kill', 'block']),
    ms: z.number(),
    effect: z.enum(['none', 'mail', 'hook', 'delta']),
    pad: z.string(),
  }),
  result: z.object({ fence: z.number() }),
  policy: { attempts: 4, backoff: { baseMs: 200, maxMs: 2_000 }, timeoutMs: 60_000, concurrency: 10 },
});
