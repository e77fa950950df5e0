/** Making a store: `initdb` under a name of its own, then one rename or link, so that a store is there whole or not at all. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdir, open, readdir, realpath, rename, rm, rmdir, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Binaries } from './binaries.ts';
import { codeOf, EmbeddedStoreError, unless } from './errors.ts';
import { findProcess } from './pid-file.ts';
import { hashOf, linkNote, type Place } from './place.ts';
import { type ServerUser, spawnAs } from './user.ts';

/** initdb takes half a second; a minute on a disk that is busy. */
const initdbTimeoutMs = 120_000;

/**
 * Makes a store at `place`. Several processes may do so at once: the first rename (or link) wins, the others drop
 * theirs. Answers nothing: who called looks at the place again.
 */
export async function createStore(
  place: Place,
  binaries: Binaries,
  {
    durable,
    sharedFolder,
    onStarting,
  }: {
    readonly durable: boolean;
    readonly sharedFolder: string;
    /** initdb runs. */
    readonly onStarting?: (() => void) | undefined;
  },
): Promise<void> {
  const shared = join(sharedFolder, `${hashOf(place.dir)}-${randomBytes(4).toString('hex')}`);
  const final = place.shared ? shared : place.dir;
  if (place.shared) await mkdir(sharedFolder, { recursive: true, mode: 0o755 });
  // In the shared folder everything is ours; elsewhere only what has this store's name.
  await sweep(dirname(final), place.shared ? '' : `${basename(final)}.new-`);
  const unfinished = `${final}.new-${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    await mkdir(unfinished, { mode: 0o700 });
    if (place.user.changed) await chown(unfinished, place.user.uid, place.user.gid);
    const made = initialise(unfinished, place.user, binaries, durable);
    onStarting?.();
    await made;
    if (place.shared) await writeFile(join(unfinished, linkNote), `${place.dir}\n`);
    await claim(unfinished, final, place);
    if (durable) await flushFolder(dirname(place.dir));
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

async function initialise(dir: string, user: ServerUser, binaries: Binaries, durable: boolean): Promise<void> {
  const args = ['-D', dir, '-U', 'postgres', '--auth=trust', '-E', 'UTF8', '--locale=C'];
  // Case of all letters, order of code points, the same on every machine.
  if (binaries.major >= 17) args.push('--locale-provider=builtin', '--builtin-locale=C.UTF-8');
  if (!durable) args.push('--no-sync');
  try {
    await promisify(execFile)(join(binaries.bin, 'initdb'), args, { ...spawnAs(user), timeout: initdbTimeoutMs });
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    throw new EmbeddedStoreError(
      `The embedded store could not be made in ${dirname(dir)}: ${lastLine(said) || String(error)}`,
      {
        cause: error,
      },
    );
  }
}

function lastLine(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('initdb: removing'));
  return lines.at(-1) ?? '';
}

/** The moment a store comes into being. Losing the race is no failure. */
async function claim(unfinished: string, final: string, place: Place): Promise<void> {
  try {
    await rename(unfinished, final);
    if (!place.shared) return;
    // An empty directory made beforehand would stand in the link's way.
    await unless(['ENOENT', 'ENOTDIR', 'ENOTEMPTY'], () => rmdir(place.dir));
    if ((await unless(['EEXIST'], () => symlink(final, place.dir).then(() => true))) === undefined) {
      await rm(final, { recursive: true, force: true });
    }
  } catch (error) {
    if (codeOf(error) === 'ENOTEMPTY' || codeOf(error) === 'EEXIST' || codeOf(error) === 'ENOTDIR') return;
    if (codeOf(error) !== 'EBUSY' && codeOf(error) !== 'EXDEV') throw error;
    throw new EmbeddedStoreError(
      `${final} is a mount point, and a store is made by renaming a directory: name one below it (embedded:${join(final, 'queue')}).`,
      { cause: error },
    );
  }
}

/** Removes what processes left that died while they made a store here. */
async function sweep(folder: string, prefix: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = unfinishedBy(name);
    if (!name.startsWith(prefix) || pid === undefined || (await findProcess(pid)) !== undefined) continue;
    // Its initdb may still run and write: what remains is swept the next time.
    await unless(['ENOTEMPTY'], () => rm(join(folder, name), { recursive: true, force: true }));
  }
}

/** The process that was making the directory of that name; undefined for any other name. Pure. */
export function unfinishedBy(name: string): number | undefined {
  const found = /\.new-(\d+)-[0-9a-f]{8}$/.exec(basename(name));
  return found?.[1] === undefined ? undefined : Number(found[1]);
}

/** Makes a new name durable; the rename alone is not. */
async function flushFolder(folder: string): Promise<void> {
  const handle = await open(await realpath(folder), 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
