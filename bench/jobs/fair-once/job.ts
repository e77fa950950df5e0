import { defineJob } from '../../../jobs/define.ts';
import fairNoop from '../fair-noop/job.ts';

export default defineJob({
  name: 'fair-once',
  summary: 'Does nothing, once, in a queue that its tenants share fairly: every guarantee of a job at work.',
  payload: fairNoop.payload,
  result: fairNoop.result,
  policy: fairNoop.policy,
});
