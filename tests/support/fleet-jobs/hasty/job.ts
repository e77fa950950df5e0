import { defineJob } from '../../../../jobs/define.ts';
import { payload, result } from '../schemas.ts';

export default defineJob({
  name: 'hasty',
  summary: 'Does what its payload says within a second.',
  payload,
  result,
  policy: { attempts: 3, backoff: { baseMs: 5, maxMs: 10 }, timeoutMs: 1_000, graceMs: 400, concurrency: 4 },
});
