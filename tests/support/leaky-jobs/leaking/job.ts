import { z } from 'zod';
import { defineJob } from '../../../../jobs/define.ts';

export default defineJob({
  name: 'leaking',
  summary: 'Says what it was given wherever a job can say something, then ends as asked.',
  payload: z.strictObject({
    end: z.enum(['completed', 'failed']),
    text: z.string(),
    fields: z.record(z.string(), z.string()),
  }),
  result: z.object({ text: z.string(), fields: z.record(z.string(), z.string()) }),
});
