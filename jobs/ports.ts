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
  /**
   * A link to the object that needs no key and expires after 15 minutes; for what leaves the system, such as mails.
   * Undefined where nobody outside could follow one: objects in a folder, and no `PUBLIC_URL`.
   */
  readonly link: (key: string) => Promise<ObjectLink | undefined>;
}

export interface ObjectLink {
  readonly url: string;
  /** RFC 3339. */
  readonly expiresAt: string;
}

/** A child of a flow, as the handler of its parent sees it. */
export type ChildJob =
  | { readonly id: string; readonly type: string; readonly state: 'completed'; readonly result: unknown }
  /** Its parent runs all the same, because it was added with `onFailure: 'ignore'`. */
  | { readonly id: string; readonly type: string; readonly state: 'failed'; readonly code: string };

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

/**
 * Field (a path with dots goes into objects) → what it must be. All must hold; an empty filter holds always. `_id` is a
 * field too. A missing field equals null; a list or an object equals no scalar. A bound holds for values of its own kind
 * only: `{ gt: 5 }` finds numbers, `{ gt: 'a' }` text. Text is compared by its code points. At most 20 fields, 100 values in `in`.
 */
export type DocumentFilter = Readonly<Record<string, FieldFilter>>;

/** JSON with an id. `_version` is the store's: 1 when a document is first written, one more at each write. */
export interface StoredDocument {
  readonly _id: string;
  readonly _version: number;
  readonly [field: string]: unknown;
}

/**
 * What a handler writes: an id (1–512 bytes of UTF-8) and JSON of at most 1 MiB and 64 levels, without NUL characters and
 * halves of surrogate pairs. Dates become RFC 3339 text, undefined is left out; the order of fields is not kept.
 */
export interface NewDocument {
  readonly _id: string;
  readonly [field: string]: unknown;
}

export interface DocumentQuery {
  readonly filter?: DocumentFilter;
  /**
   * Fields of a declared index in its order, after those that the filter fixes to one value; all ascending or all
   * descending. Ties: by the index's further fields, then `_id`, the same way round. Default: `_id` ascending. In order:
   * null or missing, numbers, text, false, true.
   */
  readonly sort?: readonly { readonly field: string; readonly descending?: boolean }[];
  /**
   * Paths that are wanted: a document then holds them flat, each under its path as it is written here, beside `_id` and
   * `_version`. Default: the whole document.
   */
  readonly fields?: readonly string[];
  /** Personal data and secrets are masked before the handler sees them, by the names of fields and by the form of texts. Default false. */
  readonly masked?: boolean;
}

export interface DocumentPage {
  readonly items: readonly StoredDocument[];
  /** Pass it as `after` with the same query for the next page; absent on the last. */
  readonly next?: string;
  /** What must be said wherever these are shown, where the collection declares it. */
  readonly attribution?: string;
}

/**
 * The documents of the job's own tenant: results of aggregation jobs and what exports read. Kept by MongoDB when
 * `MONGODB_URL` is set, else by the PostgreSQL that keeps the queue. Collections are declared by job types
 * (`collections` of `defineJob`). One document is written as a whole and atomically; several are not. An expired document
 * is as absent as one that never was.
 *
 * Throws `DOCUMENTS_MISSING` (dead) where no store keeps documents, `DOCUMENT_REFUSED` (dead) for a collection, filter,
 * sort or document that is none, `QUERY_TIMEOUT` (retry) for a query over its time (3 s for one document, 5 s for a page,
 * 10 s for many at once), `NETWORK` (retry) when the store does not answer.
 */
export interface JobDocuments {
  readonly get: (collection: string, id: string) => Promise<StoredDocument | undefined>;
  /**
   * Writes a document, made or replaced. With `version` only if the stored one has that version (0 = absent): false
   * when it has not, and nothing is written. `ttlMs`: how long it lives from now on, at most the `ttlMs` its collection
   * declares, which is the default; refused where it declares none.
   */
  readonly put: (
    collection: string,
    document: NewDocument,
    options?: { readonly version?: number; readonly ttlMs?: number },
  ) => Promise<boolean>;
  /** Writes up to 1,000 with different ids at once, at most 16 MiB together; each is made or replaced. */
  readonly putMany: (
    collection: string,
    documents: readonly NewDocument[],
    options?: { readonly ttlMs?: number },
  ) => Promise<void>;
  /** Up to `limit` (1–1,000, default 100) in order, fewer where they have more than 2 MiB together: only `next` says whether there are more. */
  readonly page: (
    collection: string,
    query: DocumentQuery & { readonly limit?: number; readonly after?: string },
  ) => Promise<DocumentPage>;
  /**
   * All in order, read in pages as they are taken, the next one while one is worked on. By `_id` none comes twice; by
   * another field one that is moved meanwhile may come again or not at all. Documents written after its start may or may
   * not appear: bound `_id` where that matters.
   */
  readonly stream: (collection: string, query: DocumentQuery) => AsyncIterable<StoredDocument>;
  /** At most 1,000 ids; how many were there. */
  readonly remove: (collection: string, ids: readonly string[]) => Promise<number>;
  /** Removes every document whose id begins with `prefix` (not empty); how many were there. */
  readonly removePrefix: (collection: string, prefix: string) => Promise<number>;
}

export interface HttpRequest {
  /** `https://` or `http://`, public addresses only, ports 80 and 443 (`HTTP_ALLOW` names exceptions). */
  readonly url: string;
  /** Default GET. */
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE' | undefined;
  /** `authorization` and `cookie` do not follow a redirect to another origin. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | Uint8Array | undefined;
  /** Bytes of the answer, counted after they were unpacked (gzip, br); a longer one is `giveUp('LIMIT_EXCEEDED')`. Default 5 MiB. */
  readonly maxBytes?: number | undefined;
  /** False: only status and headers are wanted, the connection ends behind them. Default true. */
  readonly readBody?: boolean | undefined;
  /** For each try, from its look-up to its last byte, redirects included. Default 15,000. */
  readonly timeoutMs?: number | undefined;
  /** How many are followed, each checked like the first address. Default 3; with 0 a redirect is the answer. */
  readonly redirects?: number | undefined;
  /** Tries in all when the network fails or the answer is 502, 503 or 504, 1 to 10 s apart. Default 3 for GET and HEAD, 1 for others. */
  readonly tries?: number | undefined;
  /** Which circuit breaker counts it. Default: host and port of `url`. */
  readonly dependency?: string | undefined;
  /** At most so many calls of the dependency for the job's tenant, by all workers together; over it `LIMITED` (later) and nobody is asked. */
  readonly quota?: { readonly points: number; readonly windowMs: number } | undefined;
}

export interface HttpAnswer {
  /** Any status is an answer, not an error. */
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Unpacked. */
  readonly body: Uint8Array;
  /** Where the answer came from, after redirects. */
  readonly url: string;
  /** What its Retry-After says, seconds or date, in ms from now; absent without a readable one. */
  readonly retryAfterMs?: number;
}

/**
 * Asks a server of others. Throws `FORBIDDEN_TARGET` or `LIMIT_EXCEEDED` (dead), `NETWORK` (retried), `DEPENDENCY_DOWN`
 * (later) while the breaker of the dependency is open. Errors say whether anything can have left this machine (`effect`).
 */
export type JobHttp = (request: HttpRequest) => Promise<HttpAnswer>;

/**
 * Calls something a job depends on (a mail server, a model) under its circuit breaker: five failures within 30 seconds,
 * counted over all jobs of the process, and nobody calls it for a while; jobs that would are put off (`DEPENDENCY_DOWN`)
 * without an attempt spent. `isFailure` says which errors speak against the dependency; default: those a retry is for.
 * What is refused for this one job (an address, a size) must not count.
 */
export type JobDependency = <T>(
  name: string,
  call: () => Promise<T>,
  isFailure?: (error: unknown) => boolean,
) => Promise<T>;
