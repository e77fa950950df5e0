import { z } from 'zod';
import { defineJob } from '../../../jobs/define.ts';

export default defineJob({
  name: 'thumbnail',
  summary: 'About 15 ms of work on an image: the job of the bench of the killable child.',
  payload: z.object({ input: z.string() }),
  result: z.object({ object: z.string(), sizeBytes: z.number() }),
  policy: { isolation: 'child', concurrency: 1 },
});
