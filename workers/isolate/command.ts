/** What a child is started with: Node's options, the entry file, the environment. From source as from `dist`. */
import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, totalmem } from 'node:os';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Policy } from '../../jobs/policy.ts';
import { heapMb } from './limits.ts';

const isSource = import.meta.url.endsWith('.ts');

/** A child must be ready within this; from source it also compiles. */
export const readyMs = isSource ? 30_000 : 10_000;

/** The file a child runs. */
export function entryFile(): string {
  return fileURLToPath(new URL(isSource ? 'child.ts' : 'child.js', import.meta.url));
}

export function childCommand(handlerUrl: string, policy: Policy): readonly string[] {
  // `--data` alone would end a child without a message where the heap limit gives one.
  return [process.execPath, `--max-old-space-size=${heapMb(policy.child)}`, ...loader(), entryFile(), handlerUrl];
}

/** Node reads TypeScript by itself from 22.18 on; Node 20 needs tsx, which is installed wherever the source is. */
function loader(): readonly string[] {
  if (!isSource || 'typescript' in process.features) return [];
  return ['--import', pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href];
}

/** Nothing of the worker's environment but PATH, LANG and TZ. */
export function childEnvironment(own: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  return {
    PATH: own['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
    LANG: own['LANG'] ?? 'C.UTF-8',
    TZ: own['TZ'] ?? 'UTC',
    OMP_THREAD_LIMIT: '1',
    UV_THREADPOOL_SIZE: '4',
    VIPS_BLOCK_UNTRUSTED: '1',
    // Without its cache tsx leaves nothing in the job's folder.
    ...(isSource ? { TSX_DISABLE_CACHE: '1' } : {}),
  };
}

/** The packages of the entry and of the handlers with their modules, and Node itself where it is not the system's. */
export function readableFolders(handlerUrls: readonly string[]): readonly string[] {
  const roots = [entryFile(), ...handlerUrls.map((url) => fileURLToPath(url))].map(rootOf);
  const node = dirname(dirname(process.execPath));
  const packages = roots.flatMap(packagesAbove);
  return [...new Set([...roots, ...packages, ...(node === '/usr' || node === sep ? [] : [node])])];
}

/** Where packages are found from a folder: its own and every `node_modules` above it, wherever a link leads. */
function packagesAbove(folder: string): string[] {
  const here = join(folder, 'node_modules');
  const found = existsSync(here) ? [realpathSync(here)] : [];
  const parent = dirname(folder);
  return parent === folder ? found : [...found, ...packagesAbove(parent)];
}

/** The folder above the outermost `node_modules` on the way, or that of the nearest package.json. */
function rootOf(file: string): string {
  const installed = file.indexOf(`${sep}node_modules${sep}`);
  if (installed > 0) return file.slice(0, installed);
  let folder = dirname(file);
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) return dirname(file);
    folder = parent;
  }
  return folder;
}

/** A waiting child costs about 20 MB of its own. */
export function defaultSpares(): number {
  return totalmem() < 1_073_741_824 ? 1 : Math.min(4, cpus().length);
}
