import { z } from 'zod';
import { defineJob } from '../../../../jobs/define.ts';

export default defineJob({
  name: 'caged',
  summary: 'One job of the fault harness that runs in a child: every fifth is a bomb.',
  payload: z.strictObject({
    key: z.string(),
    act: z.enum(['work', 'bomb']),
    ms: z.number(),
    effect: z.literal('none'),
    pad: z.string(),
  }),
  result: z.looseObject({ fence: z.number() }),
  policy: {
    attempts: 2,
    backoff: { baseMs: 100, maxMs: 200 },
    timeoutMs: 5_000,
    graceMs: 500,
    concurrency: 3,
    isolation: 'child',
    child: { memoryMb: 128, diskMb: 16, cpuSeconds: 20, processes: 8 },
  },
});
