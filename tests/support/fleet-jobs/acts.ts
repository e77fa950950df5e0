/** What the test jobs of the fleet can do: two types share it, one with a short time limit. */
import { watch } from 'node:fs';
import { access, appendFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { z } from 'zod';
import type { JobContext } from '../../../jobs/define.ts';
import { giveUp, retry, tryAgainIn } from '../../../jobs/errors.ts';
import acting from './acting/job.ts';

type Acting = z.output<typeof acting.payload>;

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

/** Resolves when the file is there; rejects with the signal's reason. */
async function appears(path: string, signal: AbortSignal): Promise<void> {
  const watcher = watch(dirname(path));
  try {
    await new Promise<void>((resolve, reject) => {
      const look = () => void exists(path).then((there) => there && resolve());
      watcher.on('change', look);
      signal.addEventListener('abort', () => reject(signal.reason));
      look();
    });
  } finally {
    watcher.close();
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
}

async function effect(ctx: JobContext, file: string): Promise<void> {
  await ctx.once('effect', () => appendFile(file, `${ctx.id}\n`));
}

export async function act(payload: Acting, ctx: JobContext): Promise<z.output<typeof acting.result>> {
  const { file = '', until = '', text } = payload;
  switch (payload.act) {
    case 'echo':
      break;
    case 'effect':
      await effect(ctx, file);
      break;
    case 'slow':
      await effect(ctx, file);
      await appears(until, ctx.signal);
      break;
    case 'wait':
      await writeFile(file, `${process.pid}`);
      return aborted(ctx.signal);
    case 'deaf':
      await writeFile(file, `${process.pid}`);
      return new Promise(() => undefined);
    case 'spin':
      await writeFile(file, `${process.pid}`);
      for (;;);
    case 'exit':
      await appendFile(file, `${process.pid}\n`);
      process.exit(70);
      break;
    case 'retry':
      throw retry('HTTP_500', `try again, ${text}`);
    case 'later':
      if (await exists(file)) break;
      await writeFile(file, '');
      throw tryAgainIn(30, 'HTTP_429', 'slow down');
    case 'dead':
      throw giveUp('BAD_SOURCE', `broken for ada@example.com, ${text}`);
    case 'fresh':
      await ctx.enqueue(acting, { act: 'echo', text }, { key: 'next' });
      if (ctx.attempt === 1) throw new Error('after the enqueue');
  }
  return { text, attempt: ctx.attempt, fence: ctx.fence };
}
