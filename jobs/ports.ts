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

/** What a filter compares: text, numbers and booleans are stored as they are, instants as RFC 3339 text in UTC (they sort as text). */
export type Scalar = string | number | boolean | null;

/** One field of a filter: equal to a scalar, or every bound given. The same on every store. */
export type FieldFilter =
  | Scalar
  | {
      readonly in?: readonly Scalar[];
      readonly gt?: Scalar;
      readonly gte?: Scalar;
      readonly lt?: Scalar;
      readonly lte?: Scalar;
    };

/** Field (a path with dots goes into objects) → what it must be. All must hold; an empty filter holds always. */
export type DocumentFilter = Readonly<Record<string, FieldFilter>>;

/** JSON with an id. `_version` is the store's: 1 when a document is first written, one more at each write. */
export interface StoredDocument {
  readonly _id: string;
  readonly _version: number;
  readonly [field: string]: unknown;
}

/** What a handler writes: an id and JSON, at most 1 MiB. */
export interface NewDocument {
  readonly _id: string;
  readonly [field: string]: unknown;
}

export interface DocumentQuery {
  readonly filter?: DocumentFilter;
  /** Fields of a declared index, each ascending or descending; `_id` ascending breaks ties. Default: by `_id`. */
  readonly sort?: readonly { readonly field: string; readonly descending?: boolean }[];
}

export interface DocumentPage {
  readonly items: readonly StoredDocument[];
  /** Pass it as `after` for the next page; absent on the last. */
  readonly next?: string;
}

/**
 * The documents of the job's own tenant: results of aggregation jobs and what exports read. Kept by MongoDB when
 * `MONGODB_URL` is set, else by the PostgreSQL that keeps the queue. One document is written as a whole and atomically;
 * several are not. A query over its time (3 s for one, 5 s for a list) is `retry('QUERY_TIMEOUT')`.
 */
export interface JobDocuments {
  readonly get: (collection: string, id: string) => Promise<StoredDocument | undefined>;
  /**
   * Writes a document, made or replaced. With `version` only if the stored one has that version (0 = absent): false
   * when it has not, and nothing is written.
   */
  readonly put: (
    collection: string,
    document: NewDocument,
    options?: { readonly version?: number },
  ) => Promise<boolean>;
  /** Writes up to 1,000 at once; each is made or replaced. */
  readonly putMany: (collection: string, documents: readonly NewDocument[]) => Promise<void>;
  /** Up to `limit` (1–1,000, default 100) in order. */
  readonly page: (
    collection: string,
    query: DocumentQuery & { readonly limit?: number; readonly after?: string },
  ) => Promise<DocumentPage>;
  /** All in order, read in pages as they are taken; documents written after its start may or may not appear, none twice. */
  readonly stream: (collection: string, query: DocumentQuery) => AsyncIterable<StoredDocument>;
  /** How many were there. */
  readonly remove: (collection: string, ids: readonly string[]) => Promise<number>;
  /** Removes every document whose id begins with `prefix`; how many were there. */
  readonly removePrefix: (collection: string, prefix: string) => Promise<number>;
}

export interface HttpRequest {
  /** `https://` or `http://`, public addresses only, ports 80 and 443 (`HTTP_ALLOW` names exceptions). */
  readonly url: string;
  /** Default GET. */
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** A longer answer is `giveUp('LIMIT_EXCEEDED')`. Default 5 MiB. */
  readonly maxBytes?: number;
  /** For the whole exchange, redirects included. Default 15,000. */
  readonly timeoutMs?: number;
  /** How many are followed, each checked like the first address. Default 3; with 0 a redirect is the answer. */
  readonly redirects?: number;
  /** Tries in all when the network fails or the answer is 502, 503 or 504, 1 to 10 s apart. Default 3 for GET and HEAD, 1 for others. */
  readonly tries?: number;
  /** Which circuit breaker counts it. Default: the host of `url`. */
  readonly dependency?: string;
}

export interface HttpAnswer {
  /** Any status is an answer, not an error. */
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Where the answer came from, after redirects. */
  readonly url: string;
}

/** Asks a server of others. Throws `FORBIDDEN_TARGET`, `LIMIT_EXCEEDED`, or retries on network trouble; later while its breaker is open. */
export type JobHttp = (request: HttpRequest) => Promise<HttpAnswer>;
