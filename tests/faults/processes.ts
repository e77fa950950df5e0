/** The processes of a run: started with a log file and a channel, ended by number, none left behind. */
import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Epoch ms. */
  readonly at: number;
}

export interface Started {
  readonly pid: number;
  /** The file with what it wrote to its outputs. */
  readonly output: string;
  readonly child: ChildProcess;
  /** What it said when it was ready. Rejects when it ends before. */
  readonly ready: Promise<unknown>;
  readonly exited: Promise<Ended>;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

let count = 0;

export interface ProcessOptions {
  readonly folder: string;
  readonly arguments?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Modules loaded before the program, in its threads too. */
  readonly imports?: readonly string[];
}

/** `program` is a file beside this one, without its extension. */
export function startProcess(program: string, options: ProcessOptions): Started {
  count += 1;
  const output = join(options.folder, `${program}-${count}.log`);
  const opened = openSync(output, 'a');
  const file = fileURLToPath(new URL(`./${program}.js`, import.meta.url));
  const child = fork(file, [...(options.arguments ?? [])], {
    cwd: options.folder,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...options.environment },
    execArgv: (options.imports ?? []).flatMap((module) => ['--import', module]),
    stdio: ['ignore', opened, opened, 'ipc'],
  });
  closeSync(opened);
  running.add(child);
  const exited = new Promise<Ended>((resolve) => {
    child.once('exit', (code, signal) => {
      running.delete(child);
      resolve({ code, signal, at: Date.now() });
    });
  });
  const ready = new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(Reflect.get(Object(message), 'ready')));
    void exited.then(({ code, signal }) =>
      reject(new Error(`${program} ended with ${signal ?? code} before it was ready; see ${options.folder}`)),
    );
  });
  ready.catch(() => undefined);
  if (child.pid === undefined) throw new Error(`${program} did not start`);
  return { pid: child.pid, output, child, ready, exited };
}
