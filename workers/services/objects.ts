/**
 * Inputs into the attempt's folder, outputs out of it. The handler is not believed: it may read only its own tenant's
 * objects, allowed buckets and public addresses, the worker chooses the names of the files it writes, and an output must
 * be a regular file that really lies in the folder.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readlink, realpath } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { giveUp, JobError, retry } from '../../jobs/errors.ts';
import type { FetchedInput, ObjectLink, StoredObject } from '../../jobs/ports.ts';
import { checkKey, ObjectKeyError, ObjectTooLargeError } from '../../runtime/object-store.ts';
import type { AttemptStore } from './watched-objects.ts';

/** `createFetch` of http.ts: public addresses only, every redirect checked. */
export type FetchUrl = (
  url: string,
  options: { readonly maxBytes: number; readonly timeoutMs: number; readonly signal: AbortSignal },
) => Promise<{ readonly body: Readable }>;

export interface ObjectParts {
  readonly objects: AttemptStore;
  /** A store over an allowed bucket; undefined for every other one. */
  readonly bucket: (name: string) => Promise<AttemptStore | undefined>;
  readonly fetchUrl: FetchUrl;
  /** Signs a link to one of our objects, by its whole key; default: whatever the store itself signs. */
  readonly linkTo?: ((key: string, ttlMs: number) => string) | undefined;
}

export interface ObjectAttempt {
  readonly tenant: string;
  readonly folder: () => string;
  readonly signal: () => AbortSignal;
}

export interface AttemptObjects {
  fetch(input: string, options: { readonly maxBytes: number }): Promise<FetchedInput>;
  put(key: string, path: string, contentType: string): Promise<StoredObject>;
  head(key: string): Promise<StoredObject | undefined>;
  link(key: string): Promise<ObjectLink | undefined>;
}

const fetchTimeoutMs = 300_000;
const linkTtlMs = 15 * 60_000;

export function createObjects(parts: ObjectParts, attempt: ObjectAttempt): AttemptObjects {
  let inputs = 0;
  const prefix = `t/${attempt.tenant}/`;
  return {
    fetch: (input, { maxBytes }) =>
      translated(async () => {
        const body = await openInput(input, maxBytes, parts, attempt);
        inputs += 1;
        return saveInput(body, join(attempt.folder(), `input-${inputs}`), maxBytes, attempt.signal());
      }),
    put: (key, path, contentType) =>
      translated(async () => {
        const file = await openOutput(attempt.folder(), path);
        try {
          const body = file.createReadStream({ autoClose: false });
          const stored = await parts.objects.put(prefix + key, body, { contentType, signal: attempt.signal() });
          return { object: `object:${prefix}${key}`, sizeBytes: stored.sizeBytes };
        } finally {
          await file.close();
        }
      }),
    head: (key) =>
      translated(async () => {
        const found = await parts.objects.head(prefix + key);
        return found === undefined ? undefined : { object: `object:${found.key}`, sizeBytes: found.sizeBytes };
      }),
    link: (key) =>
      translated(async () => {
        const whole = checkKey(prefix + key);
        const expiresAt = new Date(Date.now() + linkTtlMs).toISOString();
        if (parts.linkTo !== undefined) return { url: parts.linkTo(whole, linkTtlMs), expiresAt };
        const filename = key.slice(key.lastIndexOf('/') + 1);
        const signed = await parts.objects.presign({ method: 'GET', key: whole, ttlMs: linkTtlMs, filename });
        return signed && { url: signed.url, expiresAt };
      }),
  };
}

async function openInput(
  input: string,
  maxBytes: number,
  parts: ObjectParts,
  attempt: ObjectAttempt,
): Promise<Readable> {
  const signal = attempt.signal();
  if (input.startsWith('object:')) {
    const key = input.slice('object:'.length);
    if (!key.startsWith(`t/${attempt.tenant}/`))
      throw giveUp('FORBIDDEN_TARGET', `"${input.slice(0, 80)}" is no object of this job's tenant.`);
    return openObject(parts.objects, key, maxBytes, signal, input);
  }
  if (input.startsWith('s3://')) {
    const [bucket = '', ...key] = input.slice('s3://'.length).split('/');
    const store = await parts.bucket(bucket);
    if (store === undefined)
      throw giveUp('FORBIDDEN_TARGET', `The bucket "${bucket.slice(0, 63)}" is not in INPUT_BUCKETS of this worker.`);
    return openObject(store, key.join('/'), maxBytes, signal, input);
  }
  if (input.startsWith('https://'))
    return (await parts.fetchUrl(input, { maxBytes, timeoutMs: fetchTimeoutMs, signal })).body;
  throw giveUp('FORBIDDEN_TARGET', `"${input.slice(0, 20)}…" is no input: expected object:, s3:// or https://.`);
}

async function openObject(
  store: AttemptStore,
  key: string,
  maxBytes: number,
  signal: AbortSignal,
  input: string,
): Promise<Readable> {
  const found = await store.get(key, { signal });
  if (found === undefined) throw giveUp('BAD_SOURCE', `There is no ${input.slice(0, 200)}; upload it, then redrive.`);
  if (found.sizeBytes > maxBytes) {
    found.body.destroy();
    throw tooLarge(maxBytes, `${found.sizeBytes}`);
  }
  return found.body;
}

/** Counts and hashes while it writes. The name is new (`O_EXCL`), so nothing the child made is followed or overwritten. */
async function saveInput(body: Readable, path: string, maxBytes: number, signal: AbortSignal): Promise<FetchedInput> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  let file: FileHandle;
  try {
    // Readable by the child, which may run under another user id; the folder itself is closed to everybody else.
    file = await open(path, flags, 0o644);
  } catch (error) {
    body.destroy();
    if (codeOf(error) !== 'EEXIST') throw error;
    throw giveUp('FORBIDDEN_TARGET', 'The handler made a file under a name that inputs are written to (input-1, …).');
  }
  const hash = createHash('sha256');
  let sizeBytes = 0;
  try {
    await pipeline(
      body,
      async function* counted(source: AsyncIterable<Buffer>) {
        for await (const chunk of source) {
          sizeBytes += chunk.byteLength;
          if (sizeBytes > maxBytes) throw tooLarge(maxBytes, 'more');
          hash.update(chunk);
          yield chunk;
        }
      },
      file.createWriteStream(),
      { signal },
    );
  } finally {
    await file.close();
  }
  if (sizeBytes === 0) throw giveUp('BAD_SOURCE', 'The input is empty; expected at least one byte.');
  return { path, sizeBytes, sha256: hash.digest('hex') };
}

/** A regular file of the folder, opened without following a link in its last part and checked for links in the others. */
export async function openOutput(folder: string, path: string): Promise<FileHandle> {
  const root = await realpath(folder);
  const wanted = resolve(root, path.startsWith(folder + sep) ? path.slice(folder.length + 1) : path);
  const outside = () =>
    giveUp('FORBIDDEN_TARGET', 'An output must be a regular file in the folder of the attempt, without links.');
  if (!wanted.startsWith(root + sep)) throw outside();
  let file: FileHandle;
  try {
    // O_NONBLOCK: opening a named pipe would otherwise wait for a writer for ever.
    file = await open(wanted, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (['ELOOP', 'ENOTDIR', 'ENXIO'].includes(codeOf(error) ?? '')) throw outside();
    throw error;
  }
  try {
    const facts = await file.stat();
    const real = process.platform === 'linux' ? await readlink(`/proc/self/fd/${file.fd}`) : await realpath(wanted);
    // A second hard link could be somebody else's file that the child may not read itself.
    if (!facts.isFile() || facts.nlink !== 1 || real !== wanted) throw outside();
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

function tooLarge(maxBytes: number, got: string): JobError {
  return giveUp('LIMIT_EXCEEDED', `The input may have at most ${maxBytes} bytes, it has ${got}.`);
}

/** Store and disk errors in the words of jobs; an abort and a `JobError` pass as they are. */
async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof JobError || !(error instanceof Error) || error.name === 'AbortError') throw error;
    const options = { cause: error };
    if (error instanceof ObjectKeyError) throw giveUp('FORBIDDEN_TARGET', error.message, options);
    if (error instanceof ObjectTooLargeError) throw giveUp('LIMIT_EXCEEDED', error.message, options);
    if (codeOf(error) === 'ENOSPC') throw retry('NO_SPACE', 'The disk is full; the job is tried again.', 0, options);
    if (codeOf(error) === 'ENOENT')
      throw giveUp('RESULT_INVALID', 'The handler stores a file that does not exist.', options);
    throw retry('NETWORK', `The object store failed: ${error.message}`, 0, options);
  }
}
