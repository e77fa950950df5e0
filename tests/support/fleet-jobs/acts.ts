/** What the test jobs of the fleet can do: two types share it, one with a short time limit. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import type { JobContext } from '../../../jobs/define.ts';
import { giveUp, retry, tryAgainIn } from '../../../jobs/errors.ts';
import acting from './acting/job.ts';

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason));
  });
}

/** Every call leaves one more object, so that effects can be counted. */
async function leave(what: 'effect' | 'started', ctx: JobContext): Promise<void> {
  const path = join(ctx.folder, what);
  await writeFile(path, 'x');
  await ctx.objects.put(`${what}/${ctx.id}/${ctx.fence}`, path, 'text/plain');
}

export async function act(
  payload: z.output<typeof acting.payload>,
  ctx: JobContext,
): Promise<z.output<typeof acting.result>> {
  const { text } = payload;
  switch (payload.act) {
    case 'echo':
      break;
    case 'effect':
      await ctx.once('effect', () => leave('effect', ctx));
      break;
    case 'slow':
      await ctx.once('effect', () => leave('effect', ctx));
      if (ctx.fence > 1) break;
      await leave('started', ctx);
      return aborted(ctx.signal);
    case 'wait':
      await leave('started', ctx);
      return aborted(ctx.signal);
    case 'deaf':
      await leave('started', ctx);
      return new Promise(() => undefined);
    case 'spin':
      await leave('started', ctx);
      for (;;);
    case 'exit':
      await leave('started', ctx);
      process.exit(70);
      break;
    case 'retry':
      throw retry('HTTP_500', `try again, ${text}`);
    case 'later':
      if (ctx.fence > 1) break;
      throw tryAgainIn(30, 'HTTP_429', 'slow down');
    case 'dead':
      throw giveUp('BAD_SOURCE', `broken for ada@example.com, ${text}`);
    case 'fresh':
      // As a handler does that says when or how much: no two attempts say the same.
      await ctx.enqueue(acting, { act: 'echo', text, at: ctx.attempt }, { key: 'next' });
      if (ctx.attempt === 1) throw new Error('after the enqueue');
  }
  return { text, attempt: ctx.attempt, fence: ctx.fence };
}
