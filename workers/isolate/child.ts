/**
 * The killable child: imports one handler, says ready, runs one job, answers, and is killed for its answer. Started by
 * `sandbox.ts` as `node child.js <url of handler.js>` in a folder of its own, with nothing of the worker's environment.
 * It may be taken over by its input, so nothing here protects anybody: the limits are outside (`limits.ts`, `watch.ts`).
 */
import { existsSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Handler } from '../../jobs/define.ts';
import { giveUp } from '../../jobs/errors.ts';
import { createContext, type Services } from '../context.ts';
import { AbortedError } from '../running.ts';
import { createCalls } from './calls.ts';
import {
  createLineReader,
  type Downward,
  describeError,
  downward,
  initLimitBytes,
  lineLimitBytes,
  parseLine,
  restoreError,
  type Upward,
} from './protocol.ts';

const progressEveryMs = 250;
const maxLogLines = 200;

function isHandler(value: unknown): value is Handler {
  return typeof value === 'object' && value !== null && 'open' in value && typeof value.open === 'function';
}

async function importHandler(url: string): Promise<Handler> {
  const module: unknown = await import(url);
  const found = typeof module === 'object' && module !== null && 'default' in module ? module.default : undefined;
  if (!isHandler(found)) throw new Error(`${url} has no default export made by defineHandler(job, …)`);
  await found.load();
  return found;
}

const sampleInit: Downward = {
  kind: 'init',
  facts: { id: '', tenant: '-', attempt: 1, maxAttempts: 1, fence: 0 },
  payload: {},
  env: {},
};
const sampleAnswer: Downward = { kind: 'answer', id: 0, value: null };

/** Throws `RangeError` for a message whose line would be refused. */
function encode(message: Upward | Downward): string {
  const line = JSON.stringify(message);
  if (Buffer.byteLength(line) > lineLimitBytes)
    throw new RangeError(`${message.kind} of ${Buffer.byteLength(line)} bytes; a child may send ${lineLimitBytes}`);
  return `${line}\n`;
}

/** The services of a child: progress and log are coalesced here, so that a chatty handler does not look like a flood. */
function createServices(send: (message: Upward) => void, calls: ReturnType<typeof createCalls>): Services {
  let logLines = 0;
  let lastSentAt = 0;
  let pending: NodeJS.Timeout | undefined;
  let latest: Upward = { kind: 'progress', percent: 0 };
  const sendProgress = (): void => {
    pending = undefined;
    lastSentAt = Date.now();
    send(latest);
  };
  return {
    ...calls.services,
    progress(percent, note) {
      latest = { kind: 'progress', percent, ...(note === undefined ? {} : { note: note.slice(0, 500) }) };
      const waitMs = lastSentAt + progressEveryMs - Date.now();
      if (waitMs <= 0 && pending === undefined) sendProgress();
      else pending ??= setTimeout(sendProgress, Math.max(0, waitMs));
    },
    log(level, message, facts) {
      logLines += 1;
      if (logLines > maxLogLines) return;
      const line = { kind: 'log' as const, level, message: message.slice(0, 8_192) };
      try {
        send({ ...line, ...(facts === undefined ? {} : { facts }) });
      } catch {
        send({ ...line, message: `${line.message} (its facts are too large or no JSON)` });
      }
    },
  };
}

/** Runs the one job. Never throws: what goes wrong is an answer. */
async function answer(
  handler: Handler,
  init: Extract<Downward, { kind: 'init' }>,
  services: Services,
  signal: AbortSignal,
): Promise<string> {
  try {
    const open = await handler.open(init.env);
    const ctx = createContext(init.facts, services, { folder: () => process.cwd(), signal: () => signal });
    const result = await open.run(init.payload, ctx);
    try {
      return encode({ kind: 'result', result });
    } catch (error) {
      throw giveUp('RESULT_INVALID', error instanceof Error ? error.message : 'The result is no JSON.');
    }
  } catch (error) {
    return encode({ kind: 'error', error: shorten(error) });
  }
}

/** 2 KB of message and 8 KB of stack on three levels stay under a line even where every character is escaped. */
function shorten(error: unknown): ReturnType<typeof describeError> {
  const described = describeError(error);
  const isLong = Buffer.byteLength(JSON.stringify(described)) > lineLimitBytes - 64;
  return isLong ? { ...described, stack: undefined, cause: undefined } : described;
}

async function main(): Promise<void> {
  // The kernel takes this process before the worker when memory runs out. Where there is no such file, it chooses itself.
  if (existsSync('/proc/self/oom_score_adj')) writeFileSync('/proc/self/oom_score_adj', '1000');
  const pipe = new Socket({ fd: 3, readable: true, writable: true });
  const die = (): void => {
    // The worker is gone. Programs started here are in this group: nobody else would end them.
    process.kill(0, 'SIGKILL');
    process.exit(1);
  };
  pipe.on('error', die).on('end', die).on('close', die);
  const handler = await importHandler(process.argv[2] ?? '');
  const send = (message: Upward): void => {
    pipe.write(encode(message));
  };
  const calls = createCalls(send);
  const abort = new AbortController();
  const read = createLineReader(initLimitBytes);
  const take = (message: Downward): void => {
    switch (message.kind) {
      case 'init':
        void answer(handler, message, createServices(send, calls), abort.signal).then((line) => pipe.write(line));
        return;
      case 'abort':
        abort.abort(new AbortedError(message.code));
        return;
      case 'answer':
        calls.resolve(message.id, message.value);
        return;
      case 'refusal':
        calls.reject(message.id, restoreError(message.error));
    }
  };
  pipe.on('data', (chunk: Buffer) => {
    for (const line of read(chunk)) take(parseLine(downward, line));
  });
  // The first parse compiles the schemas: better now than when the job is there.
  parseLine(downward, encode(sampleAnswer));
  parseLine(downward, encode(sampleInit));
  send({ kind: 'ready' });
}

await main();
