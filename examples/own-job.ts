/** A job type and its handler in one file, run once exactly as a worker would run it, without a queue. */
import { z } from 'zod';
import { defineHandler, defineJob } from '../jobs/define.ts';
import { giveUp } from '../jobs/errors.ts';
import { runJob } from '../workers/testing.ts';

const greeting = defineJob({
  name: 'greeting',
  summary: 'Greet somebody by name.',
  payload: z.strictObject({ name: z.string() }),
  result: z.object({ text: z.string() }),
});

const handler = defineHandler(greeting, {
  run: async ({ name }, { once }) => {
    if (name === '') throw giveUp('BAD_SOURCE', 'expected a name, got an empty text');
    return { text: (await once('text', async () => `Hello, ${name}`)) ?? '' };
  },
});

const good = await runJob(handler, { name: 'Ada' });
const bad = await runJob(handler, { name: '' });
process.stdout.write(`${JSON.stringify([good.outcome, good.result, bad.outcome])}\n`);
