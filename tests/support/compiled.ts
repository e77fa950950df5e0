/**
 * Processes that tests start run compiled code, as in production: from source each would compile the same modules anew,
 * half a second of computing. Compiled once a run of the live and data suites, unchecked, into a folder of the run.
 */
import { execFile } from 'node:child_process';
import { cp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../../', import.meta.url));
const cache = join(root, '.cache');
const variable = 'JOBFLEET_TEST_COMPILED';

/** The compiled module of a source file, by its path from the root: `tests/support/fleet-process.ts`. */
export function compiled(source: string): URL {
  const folder = process.env[variable];
  if (folder === undefined) throw new Error(`${variable} is not set: run this file in the project "live" or "data"`);
  return pathToFileURL(join(folder, source.replace(/\.ts$/, '.js')));
}

/** What Node is given to run a source file of ours: the compiled one in the live and data suites, tsx elsewhere. */
export function program(source: string): readonly string[] {
  if (process.env[variable] === undefined) return ['--import', 'tsx', join(root, source)];
  return [fileURLToPath(compiled(source))];
}

export default async function setup(): Promise<() => Promise<void>> {
  await sweep();
  const folder = join(cache, `tests-${process.pid}`);
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  await promisify(execFile)(process.execPath, [tsc, '-p', 'tsconfig.tests.json', '--outDir', folder], { cwd: root });
  await cp(join(root, 'jobs'), join(folder, 'jobs'), {
    recursive: true,
    filter: (path) => !path.endsWith('.ts'),
  });
  process.env[variable] = folder;
  return async () => {
    delete process.env[variable];
    await rm(folder, { recursive: true, force: true });
  };
}

/** Removes what runs that were killed left behind. */
async function sweep(): Promise<void> {
  for (const name of await readdir(cache).catch(() => [])) {
    const pid = Number(/^tests-(\d+)$/.exec(name)?.[1] ?? Number.NaN);
    if (!Number.isNaN(pid) && !isRunning(pid)) await rm(join(cache, name), { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
