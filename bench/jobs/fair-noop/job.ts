import { defineJob } from '../../../jobs/define.ts';
import noop from '../noop/job.ts';

export default defineJob({
  name: 'fair-noop',
  summary: 'Does nothing, in a queue that its tenants share fairly.',
  payload: noop.payload,
  result: noop.result,
  policy: { attempts: 3, concurrency: 50, order: 'fair' },
});
