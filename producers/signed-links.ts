/**
 * Links that carry their own permission: a token names an object or a prefix and its expiry, signed with HMAC-SHA256.
 * A token for a prefix lets an HLS player follow the relative addresses inside a playlist.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { checkKey, ObjectKeyError } from '../runtime/object-store.ts';

const readToken = z.object({
  /** Every key that starts with this may be read: a whole key, or a prefix that ends in a slash. */
  g: z.string(),
  /** Epoch seconds. */
  e: z.number(),
});
const writeToken = z.object({
  p: z.string(),
  e: z.number(),
  /** Content type and size of the one body that may be stored. */
  c: z.string(),
  n: z.number(),
});

export interface UploadGrant {
  readonly key: string;
  readonly contentType: string;
  readonly sizeBytes: number;
}

export interface SignedLinks {
  /** The path of a link (`/v1/objects/{token}/{path}`) to one object. A playlist's link covers everything beside and below it. */
  readonly read: (key: string, ttlMs: number) => string;
  /** The key a link names; undefined when it was tampered with, has expired, or leaves its prefix. */
  readonly readable: (token: string, path: string) => string | undefined;
  /** The path of an upload slot (`/v1/uploads/{token}`). */
  readonly write: (grant: UploadGrant, ttlMs: number) => string;
  readonly writable: (token: string) => UploadGrant | undefined;
}

/** Playlists name other files relative to themselves. */
export const isPlaylist = (key: string): boolean => /\.(?:m3u8|mpd)$/i.test(key);

/** `signingKey`: at least 32 characters, the same in every API process. */
export function createSignedLinks(signingKey: string, now: () => number = Date.now): SignedLinks {
  const sign = (purpose: string, body: string): Buffer =>
    createHmac('sha256', signingKey).update(`jobfleet ${purpose}\n${body}`).digest();
  const seal = (purpose: string, content: object): string => {
    const body = Buffer.from(JSON.stringify(content)).toString('base64url');
    return `${body}.${sign(purpose, body).toString('base64url')}`;
  };
  const open = <S extends z.ZodType>(purpose: string, schema: S, token: string): z.output<S> | undefined => {
    const [body = '', signature = '', ...rest] = token.split('.');
    const given = Buffer.from(signature, 'base64url');
    const wanted = sign(purpose, body);
    if (rest.length > 0 || given.length !== wanted.length || !timingSafeEqual(given, wanted)) return undefined;
    return schema.parse(JSON.parse(Buffer.from(body, 'base64url').toString('utf8')));
  };
  const expiry = (ttlMs: number): number => Math.ceil((now() + ttlMs) / 1_000);
  const over = (seconds: number): boolean => seconds * 1_000 <= now();
  return {
    read: (key, ttlMs) => {
      const cut = checkKey(key).lastIndexOf('/') + 1;
      const grant = isPlaylist(key) ? key.slice(0, cut) : key;
      const token = seal('read', { g: grant, e: expiry(ttlMs) });
      return `/v1/objects/${token}/${key.slice(cut)}`;
    },
    readable: (token, path) => {
      const granted = open('read', readToken, token);
      if (granted === undefined || over(granted.e)) return undefined;
      const key = granted.g.slice(0, granted.g.lastIndexOf('/') + 1) + path;
      return isKey(key) && (granted.g.endsWith('/') ? key.startsWith(granted.g) : key === granted.g) ? key : undefined;
    },
    write: ({ key, contentType, sizeBytes }, ttlMs) =>
      `/v1/uploads/${seal('write', { p: checkKey(key), e: expiry(ttlMs), c: contentType, n: sizeBytes })}`,
    writable: (token) => {
      const granted = open('write', writeToken, token);
      return granted === undefined || over(granted.e)
        ? undefined
        : { key: granted.p, contentType: granted.c, sizeBytes: granted.n };
    },
  };
}

function isKey(key: string): boolean {
  try {
    checkKey(key);
    return true;
  } catch (error) {
    if (error instanceof ObjectKeyError) return false;
    throw error;
  }
}

/** The key of this machine, in `<dataDir>/signing.key` (0600): made by the first process that asks, read by the others. */
export async function localSigningKey(dataDir: string): Promise<string> {
  await mkdir(dataDir, { recursive: true });
  const file = join(dataDir, 'signing.key');
  const made = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    await writeFile(made, randomBytes(32).toString('base64url'), { mode: 0o600, flag: 'wx' });
    await link(made, file);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    await rm(made, { force: true });
  }
  const key = (await readFile(file, 'utf8')).trim();
  if (key.length < 32) throw new Error(`${file} is not a key this program wrote; delete it to get a new one`);
  return key;
}
