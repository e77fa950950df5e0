/**
 * `jobfleet up --watch`, for a clone: compiles, runs `up` in a process of its own, and when something under jobs/
 * changes compiles again and replaces it (drained first, as in a deploy). A change that does not compile is said and
 * leaves the running one alone.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, watch } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CliError, note } from './output.ts';

const settleMs = 200;

/** Resolves with the exit code of the last process. */
export async function runWatched(
  args: readonly string[],
  root: string = fileURLToPath(new URL('../../', import.meta.url)),
): Promise<number> {
  const build = `${root}script/lib/build.js`;
  if (!existsSync(build))
    throw new CliError('--watch works in a clone of the repository; an installed package has nothing to compile.', 2);
  if (!compile(root, build)) throw new CliError('The project does not compile; see above.');
  let child = start(root, args);
  let restarting = false;
  let timer: NodeJS.Timeout | undefined;
  const watcher = watch(`${root}jobs`, { recursive: true }, () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (restarting) return;
      note('jobs/ changed: compiling …');
      if (!compile(root, build)) return note('It does not compile: the running version stays.');
      restarting = true;
      child.kill('SIGTERM');
    }, settleMs);
  });
  // The terminal sends Ctrl-C to the whole group: the child drains by itself, this process only waits for it.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  process.on('SIGHUP', () => undefined);
  for (;;) {
    const code = await ended(child);
    if (!restarting) {
      watcher.close();
      clearTimeout(timer);
      return code;
    }
    restarting = false;
    child = start(root, args);
  }
}

function compile(root: string, build: string): boolean {
  return spawnSync(process.execPath, [build], { cwd: root, stdio: 'inherit' }).status === 0;
}

function start(root: string, args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [`${root}cli/jobfleet.js`, 'up', ...args], { stdio: 'inherit' });
}

function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? (signal === null ? 1 : 0))));
}
