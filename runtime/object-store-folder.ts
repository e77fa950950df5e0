/**
 * Objects as plain files: `objects/<key>` holds the bytes, `types/<key>` the content type, `partial/` what is still
 * being written. A body is written and synced under `partial/` and then renamed, so a reader meets all of it or none.
 * Everything is 0700 and 0600: only the user that runs Jobfleet reads it.
 *
 * The type is written just before the body can be seen. Two writers of one key that disagree about its type may leave
 * either of them; keys are content-addressed or fresh, so ours never do.
 */
import { randomUUID } from 'node:crypto';
import { constants, type Dirent } from 'node:fs';
import { type FileHandle, link, mkdir, open, readdir, readFile, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { limitBytes } from './limit-bytes.ts';
import { checkKey, checkPrefix, type ObjectHead, ObjectRangeError, type ObjectStore } from './object-store.ts';

const unknownType = 'application/octet-stream';
/** A partial file older than this belongs to a process that died. */
const staleMs = 24 * 3_600_000;

const hasCode = (error: unknown, ...codes: readonly string[]): boolean =>
  error instanceof Error && 'code' in error && codes.includes(String(error.code));

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Moves a finished file to its place. A concurrent `delete` may prune the folder in between, so it is made again. */
async function place(from: string, to: string, ifAbsent: boolean): Promise<boolean> {
  for (let tries = 1; ; tries += 1) {
    await mkdir(dirname(to), { recursive: true, mode: 0o700 });
    try {
      if (ifAbsent) await link(from, to);
      else await rename(from, to);
      await syncFolder(dirname(to));
      return true;
    } catch (error) {
      if (ifAbsent && hasCode(error, 'EEXIST')) return false;
      if (!hasCode(error, 'ENOENT') || tries === 5) throw error;
    }
  }
}

async function write(path: string, body: Readable | Uint8Array, maxBytes: number, signal?: AbortSignal) {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const handle = await open(path, flags, 0o600);
  try {
    const source = body instanceof Readable ? body : Readable.from([body]);
    const append = async (chunks: AsyncIterable<Uint8Array>): Promise<void> => {
      for await (const chunk of chunks) await handle.writeFile(chunk);
    };
    await pipeline(source, limitBytes(maxBytes), append, { signal });
    await handle.sync();
    return (await handle.stat()).size;
  } finally {
    await handle.close();
  }
}

/** Opens an object for reading. A link, a folder or a pipe in its place is no object. */
async function openFile(path: string): Promise<FileHandle | undefined> {
  try {
    // O_NONBLOCK: opening a pipe that somebody put there must not wait for its other end.
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
    return undefined;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EMLINK', 'ENXIO')) return undefined;
    throw error;
  }
}

/** Entries in the order of their full keys: a folder sorts as its name with the slash that follows it. */
async function entriesInKeyOrder(folder: string): Promise<Dirent[]> {
  const sortKey = (entry: Dirent): string => (entry.isDirectory() ? `${entry.name}/` : entry.name);
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

async function removeStale(folder: string): Promise<void> {
  for (const entry of await readdir(folder)) {
    const path = join(folder, entry);
    const facts = await stat(path).catch(() => undefined);
    if (facts !== undefined && Date.now() - facts.mtimeMs > staleMs) await rm(path, { force: true });
  }
}

/** Opens the store and makes its folder (0700) when it is missing. `root` is absolute. */
export async function openFolderStore(root: string): Promise<ObjectStore> {
  const bodies = join(root, 'objects');
  const types = join(root, 'types');
  const partial = join(root, 'partial');
  for (const folder of [bodies, types, partial]) await mkdir(folder, { recursive: true, mode: 0o700 });
  await removeStale(partial);

  const describe = async (key: string, handle: FileHandle): Promise<ObjectHead> => {
    const facts = await handle.stat();
    const contentType = await readFile(join(types, key), 'utf8').catch((error: unknown) => {
      if (hasCode(error, 'ENOENT')) return unknownType;
      throw error;
    });
    return { key, sizeBytes: facts.size, contentType, modifiedAt: facts.mtime };
  };

  const head = async (key: string): Promise<ObjectHead | undefined> => {
    const handle = await openFile(join(bodies, checkKey(key)));
    if (handle === undefined) return undefined;
    try {
      return await describe(key, handle);
    } finally {
      await handle.close();
    }
  };

  async function* walk(folder: string, startsWith: string): AsyncGenerator<ObjectHead> {
    for (const entry of await entriesInKeyOrder(join(bodies, folder))) {
      const key = `${folder}${entry.name}`;
      if (entry.isDirectory()) {
        if (`${key}/`.startsWith(startsWith) || startsWith.startsWith(`${key}/`)) yield* walk(`${key}/`, startsWith);
      } else if (key.startsWith(startsWith)) {
        const found = await head(key);
        if (found !== undefined) yield found;
      }
    }
  }

  /** Removes the folders that a deleted key leaves empty. */
  const prune = async (top: string, key: string): Promise<void> => {
    try {
      for (let folder = dirname(key); folder !== '.'; folder = dirname(folder)) await rmdir(join(top, folder));
    } catch (error) {
      if (!hasCode(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT')) throw error;
    }
  };

  const putType = async (key: string, contentType: string): Promise<void> => {
    const temporary = join(partial, randomUUID());
    await write(temporary, Buffer.from(contentType), Number.POSITIVE_INFINITY);
    await place(temporary, join(types, key), false);
  };

  return {
    kind: 'folder',
    async put(key, body, options) {
      checkKey(key);
      const ifAbsent = options.ifAbsent === true;
      const existing = ifAbsent ? await head(key) : undefined;
      if (existing !== undefined) {
        if (body instanceof Readable) body.destroy();
        return { stored: false, sizeBytes: existing.sizeBytes };
      }
      const temporary = join(partial, randomUUID());
      try {
        const maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY;
        const sizeBytes = await write(temporary, body, maxBytes, options.signal);
        await putType(key, options.contentType);
        return { stored: await place(temporary, join(bodies, key), ifAbsent), sizeBytes };
      } finally {
        await rm(temporary, { force: true });
      }
    },
    async get(key, options = {}) {
      options.signal?.throwIfAborted();
      const handle = await openFile(join(bodies, checkKey(key)));
      if (handle === undefined) return undefined;
      try {
        const found = await describe(key, handle);
        const start = options.range?.start ?? 0;
        if (options.range !== undefined && start >= found.sizeBytes) {
          throw new ObjectRangeError(`${key} has ${found.sizeBytes} bytes; the range starts at ${start}`);
        }
        const end = options.range?.end;
        const body = handle.createReadStream({ start, ...(end === undefined ? {} : { end }), signal: options.signal });
        // An abort before anybody reads must not end the process; whoever reads later meets the error all the same.
        body.on('error', () => undefined);
        return { ...found, body };
      } catch (error) {
        await handle.close();
        throw error;
      }
    },
    head,
    async *list(prefix) {
      yield* walk(checkPrefix(prefix).slice(0, prefix.lastIndexOf('/') + 1), prefix);
    },
    async *folders(prefix) {
      for (const entry of await entriesInKeyOrder(join(bodies, checkPrefix(prefix))))
        if (entry.isDirectory()) yield entry.name;
    },
    async delete(key) {
      for (const top of [bodies, types]) {
        await rm(join(top, checkKey(key)), { force: true });
        await prune(top, key);
      }
    },
    async presign({ key }) {
      checkKey(key);
      return undefined;
    },
    async ping() {
      const probe = join(partial, randomUUID());
      try {
        await write(probe, Buffer.from('ping'), 4);
        await rm(probe);
      } catch (error) {
        const cause = error instanceof Error ? error.message : String(error);
        throw new Error(
          `The object folder ${root} cannot be written (${cause}). Make it writable for the user that runs Jobfleet, or set STORAGE_URL.`,
          { cause: error },
        );
      }
    },
    close: async () => undefined,
  };
}
