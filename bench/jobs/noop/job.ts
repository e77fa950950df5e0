import { z } from 'zod';
import { defineJob } from '../../../jobs/define.ts';

const item = z.strictObject({ key: z.string(), text: z.string(), n: z.number().int() });

export default defineJob({
  name: 'noop',
  summary: 'Does nothing, for measuring what everything around it costs.',
  payload: z.strictObject({
    id: z.string(),
    tenant: z.string(),
    type: z.string(),
    at: z.string(),
    items: z.array(item),
    pad: z.string(),
  }),
  result: z.null(),
  policy: { attempts: 3, concurrency: 50 },
});
