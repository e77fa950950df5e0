/**
 * `jobfleet up --watch`, for a clone: compiles, runs `up` in a process of its own, and when something under jobs/
 * changes compiles again and replaces it (drained first, as in a deploy). A change that does not compile is said and
 * leaves the running one alone; one that does not start is said, and the next change tries again.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, watch } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CliError, note } from './output.ts';

const settleMs = 200;

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<number>;
}

/** Resolves with the exit code of the last process. */
export async function runWatched(
  args: readonly string[],
  root: string = fileURLToPath(new URL('../../', import.meta.url)),
): Promise<number> {
  const build = `${root}script/lib/build.js`;
  if (!existsSync(build)) {
    throw new CliError('--watch works in a clone of the repository; an installed package has nothing to compile.', 2);
  }
  if (!compile(root, build)) throw new CliError('The project does not compile; see above.');
  const changes = watchChanges(`${root}jobs`);
  let running = start(root, args);
  // The terminal sends Ctrl-C to the whole group: the child drains by itself, this process only waits for it.
  const isOver = (): boolean => running.child.exitCode !== null || running.child.signalCode !== null;
  const stop = (signal: NodeJS.Signals): void => {
    if (isOver()) process.exit(signal === 'SIGINT' ? 130 : 143);
    if (signal === 'SIGTERM') running.child.kill(signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  for (let isFirst = true; ; isFirst = false) {
    const code = await Promise.race([running.ended, changes.next()]);
    if (code !== undefined) {
      if (isFirst || code === 0) {
        changes.close();
        return code;
      }
      note('It did not start: waiting for the next change under jobs/.');
      await changes.next();
    }
    running = await replace(running, root, build, args);
  }
}

async function replace(running: Running, root: string, build: string, args: readonly string[]): Promise<Running> {
  note('jobs/ changed: compiling …');
  if (!compile(root, build)) {
    note('It does not compile: nothing was replaced.');
    return running;
  }
  if (running.child.exitCode === null) running.child.kill('SIGTERM');
  await running.ended;
  return start(root, args);
}

interface Changes {
  /** Resolves when something changed since the last answer and things have settled. */
  next(): Promise<undefined>;
  close(): void;
}

function watchChanges(folder: string): Changes {
  const seen = { isChanged: false };
  let timer: NodeJS.Timeout | undefined;
  let wake: (() => void) | undefined;
  const watcher = watch(folder, { recursive: true }, () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      seen.isChanged = true;
      wake?.();
    }, settleMs);
  });
  return {
    async next() {
      while (!seen.isChanged) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      seen.isChanged = false;
      return undefined;
    },
    close: () => {
      clearTimeout(timer);
      watcher.close();
    },
  };
}

function compile(root: string, build: string): boolean {
  return spawnSync(process.execPath, [build], { cwd: root, stdio: 'inherit' }).status === 0;
}

function start(root: string, args: readonly string[]): Running {
  const child = spawn(process.execPath, [`${root}cli/jobfleet.js`, 'up', ...args], { stdio: 'inherit' });
  return {
    child,
    ended: new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? (signal === null ? 1 : 143)))),
  };
}
