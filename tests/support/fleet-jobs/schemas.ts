import { z } from 'zod';

/**
 * What a job does. Everything it leaves behind is an object `<what>/<job id>/<fence>`, so that it works in a child too.
 * echo: answer. effect: put `effect`, once. slow: the same, and the first claim then stays until it is stopped.
 * wait: put `started`, stop at the signal. deaf: put `started`, never end. spin: put `started`, block the loop.
 * exit: put `started`, end the process. retry, dead: throw that. later: throw that at the first claim. fresh: add a job.
 */
export const payload = z.strictObject({
  act: z.enum(['echo', 'effect', 'slow', 'wait', 'deaf', 'spin', 'exit', 'retry', 'later', 'dead', 'fresh']),
  text: z.string().default(''),
  at: z.number().optional(),
});

export const result = z.object({ text: z.string(), attempt: z.number(), fence: z.number() });
