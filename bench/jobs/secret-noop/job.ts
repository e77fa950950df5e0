import { z } from 'zod';
import { defineJob, secret } from '../../../jobs/define.ts';
import noop from '../noop/job.ts';

export default defineJob({
  name: 'secret-noop',
  summary: 'Does nothing, with one field that is encrypted on its way and masked in whatever the job says.',
  payload: z.strictObject({ ...noop.payload.shape, id: secret(z.string()) }),
  result: noop.result,
  policy: noop.policy,
});
