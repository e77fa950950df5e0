import { z } from 'zod';
import { defineJob } from '../../../../jobs/define.ts';

export default defineJob({
  name: 'stillborn',
  summary: 'Has a handler that cannot be loaded. Used by the tests of the killable child.',
  payload: z.object({}),
  result: z.object({}),
  policy: { isolation: 'child' },
});
