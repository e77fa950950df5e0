import { z } from 'zod';
import { defineJob } from '../../../../jobs/define.ts';

export default defineJob({
  name: 'clerk',
  summary: 'Does with documents what a handler may.',
  payload: z.strictObject({}),
  result: z.unknown(),
  collections: { papers: { indexes: [['shelf', 'place']], ttlMs: 60_000 } },
  policy: { isolation: 'child', child: { memoryMb: 512 } },
});
