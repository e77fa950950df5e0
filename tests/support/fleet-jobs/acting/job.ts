import { defineJob } from '../../../../jobs/define.ts';
import { payload, result } from '../schemas.ts';

export default defineJob({
  name: 'acting',
  summary: 'Does what its payload says: for tests of the workers.',
  payload,
  result,
  policy: { attempts: 3, backoff: { baseMs: 5, maxMs: 10 }, timeoutMs: 60_000, graceMs: 400, concurrency: 4 },
});
