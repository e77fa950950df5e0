/** What untrusted work may do to its process, and how each must end; none touches anybody else. */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

interface Bomb {
  readonly name: string;
  /** False: the job completes all the same. */
  readonly isFatal: boolean;
  /** What it answers is the handler's result; most never answer. */
  readonly explode: (folder: string, fence: number, signal: AbortSignal) => unknown;
}

const never = new Promise<never>(() => undefined);

function grow(one: () => unknown): Promise<never> {
  const kept: unknown[] = [];
  for (;;) kept.push(one());
}

const idle = ['-e', 'setInterval(() => undefined, 1000)'] as const;

function children(count: number, detached: (n: number) => boolean): Promise<never> {
  for (let n = 0; n < count; n += 1)
    spawn(process.execPath, idle, { stdio: 'ignore', detached: detached(n) }).on('error', () => undefined);
  return never;
}

/** Keeps every frame until the last one has come, which never does. */
const filterGraph = '-v error -f lavfi -i color=s=3840x2160:r=60 -vf reverse -f null -'.split(' ');

function filterBomb(): Promise<never> {
  spawn('ffmpeg', filterGraph, { stdio: 'ignore' }).on('error', () => process.abort());
  return never;
}

/** The pipe of the answer; its language is one JSON object a line. */
const answerFd = 3;
const answerOf = (fence: number): string => `${JSON.stringify({ kind: 'result', result: { fence } })}\n`;

/** Whatever of it the pipe takes. */
function say(text: string): void {
  try {
    writeSync(answerFd, text);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
  }
}

function circle(): unknown {
  const ring: Record<string, unknown> = {};
  ring['self'] = ring;
  return ring;
}

const bombs: readonly Bomb[] = [
  {
    name: 'heap',
    isFatal: true,
    explode: () => grow(() => Array.from({ length: 10_000 }, (_, n) => ({ n }))),
  },
  { name: 'resident memory outside the heap', isFatal: true, explode: () => grow(() => Buffer.alloc(8_000_000, 1)) },
  { name: 'processes', isFatal: true, explode: () => children(60, () => false) },
  { name: 'processes in sessions of their own (setsid)', isFatal: true, explode: () => children(60, () => true) },
  {
    // Few enough for the limit: nobody counts them to death, they have to end with their parent.
    name: 'a grandchild in a session of its own, then exit(0)',
    isFatal: true,
    explode: () => {
      void children(2, () => true);
      setTimeout(() => process.exit(0), 200);
      return never;
    },
  },
  { name: 'SIGKILL', isFatal: true, explode: () => process.kill(process.pid, 'SIGKILL') && never },
  { name: 'abort', isFatal: true, explode: () => process.abort() },
  { name: 'exit(0)', isFatal: true, explode: () => process.exit(0) },
  { name: 'SIGSTOP', isFatal: true, explode: () => process.kill(process.pid, 'SIGSTOP') && never },
  {
    name: 'a loop without end',
    isFatal: true,
    explode: () => {
      for (;;);
    },
  },
  {
    name: 'output without end',
    isFatal: true,
    explode: () => grow(() => process.stdout.write('x'.repeat(100_000)) && 1),
  },
  {
    name: 'large files',
    isFatal: true,
    explode: (folder) => {
      for (let n = 0; ; n += 1) writeFileSync(join(folder, `file-${n}`), Buffer.alloc(1_000_000));
    },
  },
  {
    name: 'many small files',
    isFatal: true,
    explode: (folder) => {
      for (let n = 0; ; n += 1) {
        if (n % 1_000 === 0) mkdirSync(join(folder, `files-${n}`));
        writeFileSync(join(folder, `files-${n - (n % 1_000)}`, `file-${n}`), '');
      }
    },
  },
  { name: 'a filter that keeps every frame (ffmpeg)', isFatal: true, explode: filterBomb },
  {
    name: 'a result of 30 MB',
    isFatal: true,
    explode: (_folder, fence) => ({ fence, more: 'x'.repeat(30_000_000) }),
  },
  { name: 'a circular result', isFatal: true, explode: (_folder, fence) => ({ fence, more: circle() }) },
  {
    name: 'a message without end',
    isFatal: true,
    explode: () => {
      for (;;) say('x'.repeat(60_000));
    },
  },
  {
    name: 'a second answer',
    isFatal: false,
    explode: (_folder, fence) => {
      say(answerOf(fence).repeat(3));
      return { fence };
    },
  },
  {
    name: 'an answer after its time limit',
    isFatal: true,
    explode: (_folder, fence, signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve({ fence }));
      }),
  },
];

/** One job in so many is a bomb. */
export const bombEvery = 5;

const bombOf = (n: number): Bomb | undefined => bombs[Math.floor(n / bombEvery) % bombs.length];

/** So many jobs hold each bomb once. */
export const bombRound = bombs.length * bombEvery;

/** Whether job `n` ends as a dead letter. */
export const isFatal = (n: number): boolean => bombOf(n)?.isFatal ?? true;

export const explode = async (n: number, folder: string, fence: number, signal: AbortSignal): Promise<unknown> =>
  bombOf(n)?.explode(folder, fence, signal);
