/** Where a store lies, and what stands in the way of keeping one there. */
import { createHash } from 'node:crypto';
import {
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  realpath,
  rm,
  stat,
  statfs,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { codeOf, EmbeddedStoreError, unless } from './errors.ts';
import { canReach, type ServerUser } from './user.ts';

export interface Place {
  /** Absolute, as asked for; a symbolic link when `shared`. */
  readonly dir: string;
  readonly user: ServerUser;
  /** True when the data cannot lie at `dir`, because the server's user cannot reach it: then in the shared folder. */
  readonly shared: boolean;
  /** The store that is there: its real path and major version. Undefined = to be made. */
  readonly store?: { readonly dataDir: string; readonly major: number };
}

/** In a data directory in the shared folder: the link that leads to it. */
export const linkNote = 'jobfleet-link';

/** Throws `EmbeddedStoreError` when no store can be kept at `dir`. Makes the folders above it. */
export async function findPlace(asked: string, user: ServerUser, sharedFolder: string): Promise<Place> {
  const parent = dirname(resolve(asked));
  await mkdir(parent, { recursive: true });
  // Two names of one directory are one store.
  const dir = join(await realpath(parent), basename(resolve(asked)));
  await refuseNetwork(dirname(dir));
  const found = await unless(['ENOENT'], () => lstat(dir));
  if (found?.isSymbolicLink()) {
    const followed = await followLink(dir, sharedFolder);
    if (followed !== undefined) return { dir, user, shared: true, store: await checkStore(followed, user) };
  } else if (found !== undefined && !(await isEmpty(dir))) {
    return { dir, user, shared: false, store: await checkStore(dir, user) };
  }
  return { dir, user, shared: user.changed && !(await canReach(dirname(dir), user)) };
}

/**
 * The store a link leads to. A link to nothing counts as no store. The store notes its link: a copied project brings a
 * link to the store of the first, and gets one of its own; a moved project keeps its store.
 */
async function followLink(dir: string, sharedFolder: string): Promise<string | undefined> {
  const target = resolve(dirname(dir), await readlink(dir));
  const found = await unless(['ENOENT', 'ENOTDIR'], () => stat(target));
  if (found === undefined) {
    await dropLink(dir, target);
    return undefined;
  }
  if (dirname(target) !== resolve(sharedFolder)) return await realpath(target);
  const noted = await readLinkNote(target);
  if (noted === dir) return target;
  if (noted !== undefined && (await leadsTo(noted, target))) {
    await dropLink(dir, target);
    return undefined;
  }
  await writeFile(join(target, linkNote), `${dir}\n`);
  return target;
}

/** Another process may have made a new store, and its link, since this one was read. */
async function dropLink(dir: string, target: string): Promise<void> {
  if (await leadsTo(dir, target)) await rm(dir, { force: true });
}

/** The link a store in the shared folder belongs to, undefined when it notes none. */
export async function readLinkNote(dataDir: string): Promise<string | undefined> {
  const note = await unless(['ENOENT', 'ENOTDIR'], () => readFile(join(dataDir, linkNote), 'utf8'));
  return note?.trim();
}

/** Whether the link at `path` leads to `target`. */
export async function leadsTo(path: string, target: string): Promise<boolean> {
  const there = await unless(['ENOENT', 'EINVAL', 'ENOTDIR'], () => readlink(path));
  return there !== undefined && resolve(dirname(path), there) === target;
}

async function isEmpty(dir: string): Promise<boolean> {
  try {
    return (await readdir(dir)).length === 0;
  } catch (error) {
    // Whose it is, and that it is not ours to read, is said by `checkStore`.
    if (codeOf(error) === 'EACCES') return false;
    if (codeOf(error) !== 'ENOTDIR') throw error;
    throw new EmbeddedStoreError(`The embedded store needs a directory, and ${dir} is a file: name another one.`);
  }
}

async function checkStore(dataDir: string, user: ServerUser): Promise<{ dataDir: string; major: number }> {
  const version = await unless(['ENOENT', 'EACCES'], () => readFile(join(dataDir, 'PG_VERSION'), 'utf8'));
  const { uid } = await stat(dataDir);
  // -1: a system without user numbers.
  if (uid !== user.uid && user.uid !== -1) {
    throw new EmbeddedStoreError(
      `${dataDir} belongs to user ${uid}, and the server of this process would run as user ${user.uid}: start it as that user, or name another directory.`,
    );
  }
  if (version === undefined) {
    throw new EmbeddedStoreError(
      `${dataDir} is not empty and holds no store (no PG_VERSION in it): name another directory, or empty this one.`,
    );
  }
  if (user.changed && !(await canReach(dirname(dataDir), user))) {
    throw new EmbeddedStoreError(
      `${dataDir} lies below a folder that user ${user.uid}, as whom the server runs, may not enter: allow it (chmod o+x), or move the directory away for a fresh store.`,
    );
  }
  await refuseNetwork(dataDir);
  return { dataDir, major: Number.parseInt(version, 10) };
}

/** File systems that several hosts may write at once, by the type `statfs` answers on Linux. */
const networkFileSystems: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x73757245, 'Coda'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
  [0x19830326, 'BeeGFS'],
]);

/** The name of a network file system by its `statfs` type; undefined for a local one. Pure. */
export function networkFileSystem(type: number): string | undefined {
  // Node may answer the type as a signed number.
  return networkFileSystems.get(type >>> 0);
}

/** Two hosts would each see the other's server as a dead process number, and both write. */
async function refuseNetwork(path: string): Promise<void> {
  if (process.platform !== 'linux') return;
  const name = networkFileSystem((await statfs(path)).type);
  if (name === undefined) return;
  throw new EmbeddedStoreError(
    `${path} is on a network file system (${name}), where two hosts could write one store: name a local directory, or use postgres:// or redis:// for more than one machine.`,
  );
}

/** The longest socket path kept in the data directory, in bytes; systems allow 103 to 107. */
const longestSocketPath = 100;

/** The folder of the store's socket: the data directory, or a short one when the path would not fit. Pure. */
export function socketFolder(dataDir: string): string {
  const fits = Buffer.byteLength(join(dataDir, '.s.PGSQL.5432')) <= longestSocketPath;
  return fits ? dataDir : join('/tmp', `jobfleet-${hashOf(dataDir)}`);
}

/** Twelve hexadecimal digits of a path. */
export function hashOf(path: string): string {
  return createHash('sha256').update(path).digest('hex').slice(0, 12);
}

/** Makes the socket's folder when it is not the data directory. In `/tmp` anybody may have made one of that name first. */
export async function prepareSocketFolder(dataDir: string, user: ServerUser): Promise<string> {
  const folder = socketFolder(dataDir);
  if (folder === dataDir) return folder;
  const made = await unless(['EEXIST'], () => mkdir(folder, { mode: 0o700 }).then(() => true));
  if (made && user.changed) await chown(folder, user.uid, user.gid);
  const found = await lstat(folder);
  // Between mkdir and chown of another root process it is root's: as good as ours.
  const own = found.uid === user.uid || (user.changed && found.uid === 0);
  if (found.isDirectory() && own && (found.mode & 0o077) === 0) return folder;
  throw new EmbeddedStoreError(
    `${folder} must be a directory of user ${user.uid} that nobody else may enter, because it holds the socket of the embedded store: remove it, or use a data directory with a shorter path.`,
  );
}

/** A pg connection string for the socket in `folder`; `psql` takes it too. */
export function socketUrl(folder: string, database = 'postgres'): string {
  return `postgresql:///${database}?host=${encodeURIComponent(folder)}&port=5432&user=postgres`;
}
