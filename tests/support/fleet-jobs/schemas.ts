import { z } from 'zod';

export const payload = z.strictObject({
  /**
   * echo: answer. effect: append a line to `file`, once. slow: the same, then stay until `until` exists. wait: write
   * `file`, then stop at the signal. deaf: write `file`, then wait for ever. spin: write `file`, then block the loop.
   * exit: note the process in `file` and end it. retry, later, dead: throw that. fresh: add a job of type acting.
   */
  act: z.enum(['echo', 'effect', 'wait', 'deaf', 'spin', 'slow', 'exit', 'retry', 'later', 'dead', 'fresh']),
  file: z.string().optional(),
  until: z.string().optional(),
  text: z.string().default(''),
});

export const result = z.object({ text: z.string(), attempt: z.number(), fence: z.number() });
