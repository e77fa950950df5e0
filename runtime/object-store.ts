/**
 * Where inputs and results are kept: a folder (default) or S3. One contract, one suite on both. Keys are ours
 * (`t/<tenant>/…`), checked here once more: a key that could leave its prefix is refused before it reaches a disk or a
 * signature.
 */
import type { Readable } from 'node:stream';

export interface ObjectHead {
  readonly key: string;
  readonly sizeBytes: number;
  readonly contentType: string;
  readonly modifiedAt: Date;
}

export interface SignedRequest {
  readonly method: 'PUT' | 'GET';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface ObjectStore {
  readonly kind: 'folder' | 's3';
  /**
   * Streams to the end before the object can be seen: no reader ever meets half of it. `ifAbsent` leaves an existing
   * object alone and answers `stored: false`. Throws `ObjectTooLargeError` over `maxBytes` and keeps nothing.
   */
  put(
    key: string,
    body: Readable | Uint8Array,
    options: {
      readonly contentType: string;
      readonly ifAbsent?: boolean;
      readonly maxBytes?: number;
      readonly signal?: AbortSignal;
    },
  ): Promise<{ readonly stored: boolean; readonly sizeBytes: number }>;
  /**
   * `range` is inclusive, as in HTTP; an `end` past the last byte means the last byte, a `start` past it throws
   * `ObjectRangeError`. `sizeBytes` is always that of the whole object. Undefined when absent. Read the body or destroy it.
   */
  get(
    key: string,
    options?: { readonly range?: { readonly start: number; readonly end?: number }; readonly signal?: AbortSignal },
  ): Promise<(ObjectHead & { readonly body: Readable }) | undefined>;
  head(key: string): Promise<ObjectHead | undefined>;
  /** In key order, one page after the other. */
  list(prefix: string): AsyncIterable<ObjectHead>;
  /** What stands between `prefix`, which ends with a slash, and the next slash of any key: each once, in order, without a look at the objects. */
  folders(prefix: string): AsyncIterable<string>;
  /** Absent is fine. */
  delete(key: string): Promise<void>;
  /**
   * A signed address straight to the store; undefined where the API has to serve the bytes itself (folder). `ttlMs` at most
   * 7 days. A PUT works once, for that type and size, with all the headers of the answer.
   */
  presign(
    request:
      | { readonly method: 'GET'; readonly key: string; readonly ttlMs: number; readonly filename?: string }
      | {
          readonly method: 'PUT';
          readonly key: string;
          readonly ttlMs: number;
          readonly contentType: string;
          readonly sizeBytes: number;
        },
  ): Promise<SignedRequest | undefined>;
  /** Throws one sentence with cause and fix when the store cannot be reached or written. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** A key that names nothing of ours, or tries to leave its prefix. */
export class ObjectKeyError extends Error {
  override readonly name = 'ObjectKeyError';
  readonly code = 'FORBIDDEN_TARGET';
}

/** The body was longer than `maxBytes`; nothing was stored. */
export class ObjectTooLargeError extends Error {
  override readonly name = 'ObjectTooLargeError';
  readonly code = 'LIMIT_EXCEEDED';
}

/** The range starts behind the last byte (416 in HTTP). */
export class ObjectRangeError extends Error {
  override readonly name = 'ObjectRangeError';
  readonly code = 'RANGE_NOT_SATISFIABLE';
}

// Letters, digits and a few marks per part: no empty part, no `.` or `..`, no backslash, no control character, ≤ 255 bytes.
const part = /^(?!\.{1,2}$)[A-Za-z0-9._=@+-]{1,255}$/;

/** Returns the key, or throws `ObjectKeyError`. At most 1,024 characters. */
export function checkKey(key: string): string {
  if (key.length > 1_024 || !key.split('/').every((piece) => part.test(piece))) {
    throw new ObjectKeyError(
      `"${key.slice(0, 80)}" is no object key: expected parts of letters, digits and ._=@+- between slashes`,
    );
  }
  return key;
}

/** Returns a prefix for `list`: empty, or the beginning of a key, with or without a slash at its end. */
export function checkPrefix(prefix: string): string {
  if (prefix !== '') checkKey(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix);
  return prefix;
}
