import { z } from 'zod';
import { defineJob } from '../../../../jobs/define.ts';

export default defineJob({
  name: 'trouble',
  summary: 'Does what untrusted work may do to its process. Used by the tests of the killable child.',
  payload: z.object({
    how: z.string(),
    text: z.string().default(''),
    count: z.number().default(0),
  }),
  result: z.unknown(),
  policy: { isolation: 'child' },
});
