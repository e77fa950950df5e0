/**
 * The JSON files of a zip, one after the other. The archive is foreign: sizes are counted while it is unpacked, whatever it
 * says of itself, and no name of it ever becomes a path.
 */
import type { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import { type Entry, openPromise, type ZipFile } from 'yauzl';
import { giveUp, JobError } from '../errors.ts';
import { limits } from './limits.ts';

export interface ZipText {
  readonly name: string;
  readonly bytes: Buffer;
}

const symbolicLink = 0o120_000;
const fileKind = 0o170_000;

/** Throws `BAD_SOURCE` for what is no readable archive, `LIMIT_EXCEEDED` over a limit. Names are those of the archive. */
export async function* jsonFiles(path: string, signal: AbortSignal): AsyncGenerator<ZipText> {
  const zip = await translated(() => openPromise(path, { lazyEntries: true, autoClose: false }));
  try {
    if (zip.entryCount > limits.entries)
      throw giveUp('LIMIT_EXCEEDED', `The archive has ${zip.entryCount} entries; at most ${limits.entries} are read.`);
    let left: number = limits.totalBytes;
    const entries = zip.eachEntry();
    for (;;) {
      signal.throwIfAborted();
      const next = await translated(() => entries.next());
      if (next.done === true) return;
      if (!isMatchFile(next.value)) continue;
      const bytes = await translated(() => unpack(zip, next.value, Math.min(left, limits.matchBytes), signal));
      left -= bytes.byteLength;
      yield { name: next.value.fileName, bytes };
    }
  } finally {
    zip.close();
  }
}

/** Read-me files, folders and what macOS adds are no matches. */
function isMatchFile(entry: Entry): boolean {
  const { fileName } = entry;
  if (!fileName.toLowerCase().endsWith('.json') || /(?:^|\/)(?:__MACOSX\/|\._)/.test(fileName)) return false;
  const kind = (entry.externalFileAttributes >>> 16) & fileKind;
  if (kind === symbolicLink) throw giveUp('BAD_SOURCE', `${short(fileName)} is a link; expected files only.`);
  if (entry.isEncrypted())
    throw giveUp('BAD_SOURCE', `${short(fileName)} is encrypted; expected files without password.`);
  return true;
}

async function unpack(zip: ZipFile, entry: Entry, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
  const body: Readable = await zip.openReadStreamPromise(entry);
  const most = Math.min(maxBytes, entry.compressedSize * limits.ratio);
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const part of body) {
      signal.throwIfAborted();
      if (!Buffer.isBuffer(part)) throw new TypeError('expected bytes from a zip entry');
      size += part.byteLength;
      if (size > most)
        throw giveUp(
          'LIMIT_EXCEEDED',
          `${short(entry.fileName)} unpacks to more than ${most} bytes (at most ${limits.ratio} times its packed size, ${limits.matchBytes} bytes a match, ${limits.totalBytes} in all).`,
        );
      parts.push(part);
    }
  } finally {
    body.destroy();
  }
  const bytes = Buffer.concat(parts);
  // The reader compares sizes, not sums.
  if (crc32(bytes) !== entry.crc32)
    throw giveUp('BAD_SOURCE', `${short(entry.fileName)} is damaged: its checksum differs.`);
  return bytes;
}

/** What the reader refuses is a bad archive; trouble of the disk is not. */
async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof JobError || !(error instanceof Error) || error.name === 'AbortError') throw error;
    if ('syscall' in error || 'effect' in error) throw error;
    throw giveUp('BAD_SOURCE', `Not a readable zip: ${error.message}`, { cause: error });
  }
}

function short(name: string): string {
  return JSON.stringify(name.slice(-80));
}
