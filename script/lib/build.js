/**
 * Compiles the package into dist/: types are stripped by tsc, files that are read at run time are copied beside the
 * compiled code, and what has no source any more is removed, so that a deleted job folder disappears from the registry.
 * Does nothing when nothing changed since the last time.
 * Needs no TypeScript itself: it runs right after `npm ci`.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folders = ['jobs', 'producers', 'workers', 'backends', 'dashboard', 'cli', 'runtime'];
/** What a build keeps for the next one; gone with the folder, so that an empty one is filled again. */
const own = ['.built', '.tsbuildinfo'];
const copied = new Set(['.eta', '.html', '.css', '.svg', '.sql', '.lua']);

/** @param {string} folder @returns {string[]} */
function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

function compile() {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  if (!existsSync(tsc)) {
    process.stderr.write('build: skipped, the compiler is not installed (npm ci without --omit=dev installs it)\n');
    return 0;
  }
  return spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' }).status ?? 1;
}

function copyAssets() {
  for (const folder of folders) {
    for (const file of filesBelow(join(root, folder))) {
      if (copied.has(file.slice(file.lastIndexOf('.')))) cpSync(file, join(root, 'dist', relative(root, file)));
    }
  }
}

function dropOrphans() {
  for (const file of filesBelow(join(root, 'dist'))) {
    if (own.some((name) => file.endsWith(name))) continue;
    const source = join(root, relative(join(root, 'dist'), file)).replace(/(\.d\.ts|\.js)(\.map)?$/, '.ts');
    if (!existsSync(source)) rmSync(file);
  }
  for (const entry of readdirSync(join(root, 'dist', 'jobs'))) {
    const folder = join(root, 'dist', 'jobs', entry);
    if (statSync(folder).isDirectory() && filesBelow(folder).length === 0) rmSync(folder, { recursive: true });
  }
}

/** Whether a source is newer than the last build, or gone since; a build takes seconds, this milliseconds. */
function isStale() {
  const stamp = join(root, 'dist', '.built');
  if (!existsSync(stamp)) return true;
  const builtAt = statSync(stamp).mtimeMs;
  const sources = folders.flatMap((folder) => [
    folder,
    ...readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  ]);
  return [...sources, 'package.json', 'tsconfig.json', 'tsconfig.build.json'].some(
    (name) => statSync(join(root, name)).mtimeMs > builtAt,
  );
}

if (isStale()) {
  const startedAt = new Date();
  const status = compile();
  if (status === 0 && existsSync(join(root, 'dist'))) {
    copyAssets();
    dropOrphans();
    writeFileSync(join(root, 'dist', '.built'), '');
    // What was saved while it compiled is newer than this.
    utimesSync(join(root, 'dist', '.built'), startedAt, startedAt);
  }
  process.exitCode = status;
}
