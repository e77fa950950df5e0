/**
 * The only file that starts ffmpeg. Two drivers run the same argument list: `spawn` (default) and `fluent`
 * (fluent-ffmpeg 2.1.3). `spawn` is the default because fluent-ffmpeg is read-only upstream, asks `ffmpeg -encoders`
 * before every run, keeps whole lines of output however long, and cannot put `setpriv --pdeathsig` before the program.
 */
import { ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { giveUp, retry } from '../errors.ts';
import { type Ended, failureOf } from './failure.ts';

/** Options before the input, the input, options after it, the output. Paths are absolute. */
export interface Command {
  readonly before: readonly string[];
  readonly input: string;
  readonly after: readonly string[];
  readonly output: string;
}

export type Driver = 'spawn' | 'fluent';

/** Where the run is. Reported only when something moved, so that silence means a stuck program. */
export interface Position {
  /** Seconds of the output written so far; at most what the source lasts, but it may pass the declared duration. */
  readonly seconds: number;
  readonly frames: number;
}

export interface RunOptions {
  readonly driver: Driver;
  readonly signal: AbortSignal;
  /** Wall clock. Passing it kills ffmpeg and throws LIMIT_EXCEEDED as a retry: the machine may have been busy. */
  readonly limitSeconds: number;
  readonly onProgress?: (position: Position) => void;
  /** From SIGTERM to SIGKILL; default 5,000: ffmpeg may stay busy for a minute after SIGTERM. */
  readonly killAfterMs?: number;
  /** The program; a test puts another in its place. */
  readonly program?: string;
}

const tailLength = 64 * 1024;
const floodLength = 8 << 20;
const setpriv = '/usr/bin/setpriv';
const always = ['-nostdin', '-hide_banner', '-v', 'error', '-progress', 'pipe:1'];

// The kernel kills ffmpeg when the process that started it dies: outside a pid namespace nothing else would.
function startSpawn(command: Command, program: string): ChildProcess {
  const args = [...always, '-y', ...command.before, '-i', `file:${command.input}`, ...command.after, command.output];
  const guarded = process.platform === 'linux' && existsSync(setpriv);
  const [file, list] = guarded ? [setpriv, ['--pdeathsig', 'KILL', '--', program, ...args]] : [program, args];
  return spawn(file, list, { stdio: ['ignore', 'pipe', 'pipe'], windowsHide: true });
}

async function startFluent(command: Command, program: string): Promise<ChildProcess> {
  const { default: fluent } = await import('fluent-ffmpeg');
  const run = fluent(`file:${command.input}`);
  run.setFfmpegPath(program);
  // Separate arguments, never one array: an array has its strings split at a single space.
  run.inputOptions(...always, ...command.before);
  run.output(command.output).outputOptions(...command.after);
  await new Promise<void>((resolve, reject) => {
    run.once('start', () => resolve());
    // Before the start this is the reason; after it the exit status below says the same.
    run.on('error', reject);
    run.run();
  });
  const child: unknown = Reflect.get(run, 'ffmpegProc');
  if (!(child instanceof ChildProcess)) throw new Error('fluent-ffmpeg started ffmpeg without naming its process');
  return child;
}

/** Feeds complete `key=value` lines of `-progress`; a line over 4 KB is dropped. Exported for its test. */
export function progressReader(onProgress: (position: Position) => void): (chunk: string) => void {
  let rest = '';
  let seconds = 0;
  let frames = 0;
  let reported = '';
  return (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = (lines.pop() ?? '').slice(-4_096);
    for (const line of lines) {
      const [key, value] = line.trim().split('=');
      const number = Number(value);
      if (key === 'out_time_us' && Number.isFinite(number)) seconds = Math.max(seconds, number / 1e6);
      if (key === 'frame' && Number.isFinite(number)) frames = Math.max(frames, number);
      if (key !== 'progress' || `${seconds}/${frames}` === reported) continue;
      reported = `${seconds}/${frames}`;
      onProgress({ seconds, frames });
    }
  };
}

/** Watches a started ffmpeg to its end; stops it on abort, on the time limit and on a flood of messages. */
async function watch(
  child: ChildProcess,
  options: RunOptions,
): Promise<Ended & { readonly stopped: Error | undefined }> {
  let stopped: Error | undefined;
  let tail = '';
  let written = 0;
  let killTimer: NodeJS.Timeout | undefined;
  const stop = (reason: Error): void => {
    if (stopped !== undefined) return;
    stopped = reason;
    child.kill('SIGTERM');
    killTimer = setTimeout(() => child.kill('SIGKILL'), options.killAfterMs ?? 5_000);
  };
  const abort = (): void => stop(asError(options.signal.reason));
  const limit = setTimeout(
    () => stop(retry('LIMIT_EXCEEDED', `ffmpeg was still running after the ${options.limitSeconds} s it may take`)),
    options.limitSeconds * 1_000,
  );
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    if (stopped !== undefined) return;
    written += chunk.length;
    tail = (tail + chunk).slice(-tailLength);
    if (written > floodLength) stop(giveUp('BAD_SOURCE', 'ffmpeg printed more than 8 MB of errors about the input'));
  });
  const read = progressReader(options.onProgress ?? (() => undefined));
  child.stdout?.setEncoding('utf8').on('data', read);
  options.signal.addEventListener('abort', abort, { once: true });
  // fluent-ffmpeg starts in the background: an abort in between found nothing to kill.
  if (options.signal.aborted) abort();
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve({ code, signal, stderr: tail, stopped }));
    });
  } finally {
    clearTimeout(limit);
    clearTimeout(killTimer);
    options.signal.removeEventListener('abort', abort);
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

/**
 * Runs ffmpeg to its end. Throws the abort reason, LIMIT_EXCEEDED (retry) at the time limit, or what its last words
 * mean (`failureOf`). What it wrote stays: write into a temporary folder.
 */
export async function runFfmpeg(command: Command, options: RunOptions): Promise<void> {
  options.signal.throwIfAborted();
  const program = options.program ?? 'ffmpeg';
  const child = options.driver === 'fluent' ? await startFluent(command, program) : startSpawn(command, program);
  const ended = await watch(child, options);
  if (ended.stopped !== undefined) throw ended.stopped;
  if (ended.code !== 0) throw failureOf('ffmpeg', ended);
}

const howToGet =
  'install it with `apt install ffmpeg`, `brew install ffmpeg`, or from https://ffmpeg.org/download.html';
const run = promisify(execFile);

async function ask(program: string, option: string): Promise<string | undefined> {
  try {
    return (await run(program, ['-hide_banner', option], { timeout: 10_000, maxBuffer: 4 << 20 })).stdout;
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'EACCES'))
      return undefined;
    throw error;
  }
}

/** Why this machine cannot transcode, with how to mend it; undefined when it can. Needs 5.1 or newer with libx264 and AAC. */
export async function ffmpegMissing(programs = { ffmpeg: 'ffmpeg', ffprobe: 'ffprobe' }): Promise<string | undefined> {
  // Together: each start loads a hundred libraries, and a worker is ready only after this.
  const [ffmpeg, ffprobe, encoders = ''] = await Promise.all([
    ask(programs.ffmpeg, '-version'),
    ask(programs.ffprobe, '-version'),
    ask(programs.ffmpeg, '-encoders'),
  ]);
  for (const [name, version] of Object.entries({ ffmpeg, ffprobe })) {
    if (version === undefined) return `${name} is not on the PATH: ${howToGet}`;
    // Builds from a snapshot are named by date or commit (`N-112233-gabc`) and are taken for new.
    const [, major, minor] = /version n?(\d+)\.(\d+)/.exec(version) ?? [];
    if (major !== undefined && Number(major) + Number(minor) / 10 < 5.1)
      return `${name} ${major}.${minor} is too old, 5.1 or newer is needed: ${howToGet}`;
  }
  const lacking = ['libx264', 'aac'].filter((name) => !new RegExp(`^ *[VA]\\S* ${name} `, 'm').test(encoders));
  return lacking.length === 0 ? undefined : `this ffmpeg was built without ${lacking.join(' and ')}: ${howToGet}`;
}

/** Whether HDR can be tone-mapped. Asked only for HDR sources: it starts ffmpeg once. */
export async function canToneMap(): Promise<boolean> {
  const filters = (await ask('ffmpeg', '-filters')) ?? '';
  return [' zscale ', ' tonemap '].every((name) => filters.includes(name));
}
