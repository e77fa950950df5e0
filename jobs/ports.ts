/**
 * What a handler may touch of the outside world. Handlers see these types only; the implementations live in
 * `workers/` and are the same in process and in a killable child.
 */

/** An input brought into the job's own folder. */
export interface FetchedInput {
  /** Absolute path of a regular file inside `ctx.folder`, under a name the worker chose. */
  readonly path: string;
  readonly sizeBytes: number;
  /** SHA-256 of the bytes, hex: the base of content-addressed keys. */
  readonly sha256: string;
}

/** A stored object as results name it. */
export interface StoredObject {
  /** `object:<key>`; the API adds a signed link for each of them. */
  readonly object: string;
  readonly sizeBytes: number;
}

export interface JobObjects {
  /**
   * Copies an input into the job's folder. `input` is `object:<key>` of the job's own tenant, `s3://bucket/key` of an
   * allowed bucket, or `https://` (guarded: public addresses only, ports 80 and 443, every redirect checked).
   * Throws `FORBIDDEN_TARGET`, `LIMIT_EXCEEDED` (over `maxBytes`), `BAD_SOURCE` (absent or empty), or retries on network trouble.
   */
  readonly fetch: (input: string, options: { readonly maxBytes: number }) => Promise<FetchedInput>;
  /** Stores a regular file of the job's folder under `key` (relative; the tenant's prefix is added). Overwrites: keys are content-addressed. */
  readonly put: (key: string, path: string, contentType: string) => Promise<StoredObject>;
  /** The object under that relative key, or undefined: lets a retry make only what is missing. */
  readonly head: (key: string) => Promise<StoredObject | undefined>;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
