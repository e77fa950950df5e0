/** What `doctor` says of an embedded store. Reads only: no server is started, no link made. */
import { lstat, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { sharedFolder } from './binaries.ts';
import { unfinishedBy } from './create.ts';
import { unless } from './errors.ts';
import { findProcess } from './pid-file.ts';
import { leadsTo, readLinkNote, socketFolder } from './place.ts';
import { serverPidOf } from './start.ts';

export interface EmbeddedFacts {
  /** As asked for, absolute. */
  readonly dir: string;
  /** Undefined when there is no store yet. */
  readonly store?: {
    /** Where `dir` leads. */
    readonly dataDir: string;
    /** Major version of PostgreSQL that made it. */
    readonly major: number;
    /** Blocks on disk, in bytes. */
    readonly sizeBytes: number;
    /** User number of the owner: the server runs as that user. */
    readonly owner: number;
    readonly socket: string;
    /** The running server; undefined when there is none that this process can see. */
    readonly serverPid?: number;
  };
  /** Stores in the shared folder no link leads to any more, and unfinished ones of dead processes: may be deleted. */
  readonly orphans: readonly string[];
}

/** Missing directories and stores of others are facts too: nothing is thrown for them. */
export async function inspectEmbedded(dir: string, shared = sharedFolder): Promise<EmbeddedFacts> {
  const facts = { dir: resolve(dir), orphans: await findOrphans(shared) };
  const dataDir = await unless(['ENOENT', 'EACCES', 'ENOTDIR'], () => realpath(dir));
  if (dataDir === undefined) return facts;
  const version = await unless(['ENOENT', 'EACCES', 'ENOTDIR'], () => readFile(join(dataDir, 'PG_VERSION'), 'utf8'));
  if (version === undefined) return facts;
  const serverPid = await serverPidOf(dataDir);
  return {
    ...facts,
    store: {
      dataDir,
      major: Number.parseInt(version, 10),
      sizeBytes: await sizeOf(dataDir),
      owner: (await stat(dataDir)).uid,
      socket: join(socketFolder(dataDir), '.s.PGSQL.5432'),
      ...(serverPid === undefined ? {} : { serverPid }),
    },
  };
}

/** A running server makes and removes files while they are counted. */
async function sizeOf(path: string): Promise<number> {
  const found = await unless(['ENOENT'], () => lstat(path));
  if (found === undefined) return 0;
  if (!found.isDirectory()) return found.blocks * 512;
  let total = 0;
  for (const name of (await unless(['ENOENT'], () => readdir(path))) ?? []) total += await sizeOf(join(path, name));
  return total;
}

async function findOrphans(shared: string): Promise<string[]> {
  const orphans: string[] = [];
  for (const name of (await unless(['ENOENT', 'EACCES'], () => readdir(shared))) ?? []) {
    const path = join(shared, name);
    const maker = unfinishedBy(name);
    if (maker !== undefined) {
      if ((await findProcess(maker)) === undefined) orphans.push(path);
    } else if (/^[0-9a-f]{12}-[0-9a-f]{8}$/.test(name)) {
      // Unreadable: another user's, and not for us to judge.
      const link = await unless(['EACCES'], async () => (await readLinkNote(path)) ?? '');
      if (link !== undefined && !(await leadsTo(link, path))) orphans.push(path);
    }
  }
  return orphans;
}
