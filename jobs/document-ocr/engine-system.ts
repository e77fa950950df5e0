/** The tesseract program of the system: faster than the WebAssembly one, and without its start. */
import { spawn } from 'node:child_process';
import { giveUp } from '../errors.ts';
import { asTurn, type Engine, type PageMode, readTsv } from './engine.ts';
import { asPnm, type Picture, smallOf } from './picture.ts';

const maxOutputBytes = 32_000_000;
const keptErrorBytes = 65_536;

interface Run {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly errors: string;
}

/** Whether `tesseract` is on PATH and has English. */
export async function hasSystemTesseract(): Promise<boolean> {
  try {
    const { code, output, errors } = await run(['--list-langs'], undefined, AbortSignal.timeout(5_000));
    return code === 0 && /^eng$/m.test(`${output}\n${errors}`);
  } catch {
    // Not there, or not answering: the other engine reads.
    return false;
  }
}

export function openSystemEngine(): Engine {
  return {
    name: 'tesseract',
    orientation: async (picture, signal) => {
      const small = await smallOf(picture, 2_000);
      const ended = await run(['stdin', 'stdout', '--psm', '0', '--dpi', '150'], asPnm(small), signal);
      if (ended.code !== 0 && !/too few characters|Error during processing/i.test(ended.errors)) throw failed(ended);
      const [, degrees] = /^Rotate: (\d+)$/m.exec(ended.output) ?? [];
      const [, confidence] = /^Orientation confidence: ([\d.]+)$/m.exec(ended.output) ?? [];
      return degrees === undefined ? undefined : { degrees: asTurn(Number(degrees)), confidence: Number(confidence) };
    },
    read: async (picture, mode, signal) => {
      const ended = await run(argumentsFor(picture, mode), asPnm(picture), signal);
      if (ended.code !== 0) throw failed(ended);
      return readTsv(ended.output);
    },
    close: async () => undefined,
  };
}

function argumentsFor({ dpi }: Picture, mode: PageMode): string[] {
  return ['stdin', 'stdout', '-l', 'eng', '--psm', `${mode}`, ...(dpi === undefined ? [] : ['--dpi', `${dpi}`]), 'tsv'];
}

/** Killed by a signal is the machine's doing and is tried again; refusing the picture is the source's. */
function failed({ code, signal, errors }: Run): Error {
  const said = errors.trim().split('\n').at(-1) ?? '';
  if (signal !== null) return new Error(`tesseract was ended by ${signal}: ${said}`);
  return giveUp('BAD_SOURCE', `tesseract cannot read the page (exit ${code}): ${said.slice(0, 200)}`);
}

/** Its own threads wait for each other, so it gets one; pages at once are the parallelism. */
async function run(args: readonly string[], input: Buffer | undefined, signal: AbortSignal): Promise<Run> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const child = spawn('tesseract', args, {
      env: { PATH: process.env['PATH'] ?? '', OMP_THREAD_LIMIT: '1' },
      stdio: ['pipe', 'pipe', 'pipe'],
      killSignal: 'SIGKILL',
      signal,
    });
    const output: Buffer[] = [];
    let bytes = 0;
    let errors = '';
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength;
      if (bytes <= maxOutputBytes) output.push(chunk);
      else child.kill('SIGKILL');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      errors = (errors + chunk.toString('latin1')).slice(-keptErrorBytes);
    });
    // It may end before it has read everything.
    child.stdin.on('error', () => undefined);
    child.once('error', (error) => reject(signal.aborted ? signal.reason : error));
    child.once('close', (code, endedBy) =>
      resolve({ code, signal: endedBy, output: Buffer.concat(output).toString('utf8'), errors }),
    );
    child.stdin.end(input);
  });
}
