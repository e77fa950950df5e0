/**
 * Where documents are kept: MongoDB, the PostgreSQL that keeps the queue, or the memory of a test. One contract, one
 * suite on all. This file checks everything a caller passes, so that every store meets the same few, checked requests and
 * refuses the same things with the same words. What each member means to a handler stands in `jobs/ports.ts`.
 */
import { checkDocument, checkId, checkName, checkTenant, DocumentError, sizeLimits } from './document-checks.ts';
import { type DocumentQuery, type Find, openCursor, planFind, type StoredDocument } from './document-query.ts';

export interface NewDocument {
  readonly _id: string;
  readonly [field: string]: unknown;
}
export interface DocumentPage {
  readonly items: readonly StoredDocument[];
  readonly next?: string;
}

/** What a job type declares of a collection: the fields queries sort by, how long its documents live, and whose data they are. */
export interface Collection {
  readonly indexes?: readonly (readonly string[])[];
  readonly ttlMs?: number;
  readonly attribution?: string;
}
export type Collections = Readonly<Record<string, Collection>>;

/** The documents of one tenant. */
export interface TenantDocuments {
  get(collection: string, id: string): Promise<StoredDocument | undefined>;
  put(
    collection: string,
    document: NewDocument,
    options?: { readonly version?: number | undefined; readonly ttlMs?: number | undefined },
  ): Promise<boolean>;
  putMany(
    collection: string,
    documents: readonly NewDocument[],
    options?: { readonly ttlMs?: number | undefined },
  ): Promise<void>;
  page(collection: string, query: DocumentQuery): Promise<DocumentPage>;
  remove(collection: string, ids: readonly string[]): Promise<number>;
  removePrefix(collection: string, prefix: string): Promise<number>;
}

export interface Documents {
  readonly kind: 'memory' | 'mongodb' | 'postgres';
  of(tenant: string): TenantDocuments;
  /** What must be said wherever documents of the collection are shown; undefined: nothing. */
  attributionOf(collection: string): string | undefined;
  /** Who keeps documents in a collection, in no order: for what the system does for every tenant. At most `queryLimits.manyMs`. */
  tenants(collection: string): Promise<readonly string[]>;
  /** Why job types that need documents cannot run here; undefined when they can. Makes collections and indexes that are missing. */
  problem(): Promise<string | undefined>;
  /** Deletes what has expired, where the store does not do it by itself; how many. Stop by `signal`. */
  sweep(signal: AbortSignal): Promise<number>;
  close(): Promise<void>;
}

/** Milliseconds a query may take on its server: one document, a page, many at once. */
export const queryLimits = { oneMs: 3_000, pageMs: 5_000, manyMs: 10_000 } as const;
/** A page ends early when its documents have more bytes of JSON than this. */
export const pageBytes = 2 * 1_048_576;

/** Which documents: everything a store compares with. */
export interface Scope {
  readonly tenant: string;
  readonly collection: string;
}

/** A checked document: its id and the JSON of its other fields. */
export interface CheckedDocument {
  readonly id: string;
  readonly json: string;
}

/** What a store does; its arguments are checked. It throws `DocumentError` for trouble of its own, and nothing else. */
export interface DocumentStore {
  readonly kind: Documents['kind'];
  /** Makes what the declarations need and is not there; any number of processes may do it at once. Called before the first request; again after it failed. */
  prepare(): Promise<void>;
  get(scope: Scope, id: string): Promise<StoredDocument | undefined>;
  /** `version` undefined = whatever is there, 0 = nothing may be there. `ttlMs` undefined = for ever. */
  put(
    scope: Scope,
    document: CheckedDocument,
    options: { readonly version: number | undefined; readonly ttlMs: number | undefined },
  ): Promise<boolean>;
  putMany(scope: Scope, documents: readonly CheckedDocument[], ttlMs: number | undefined): Promise<void>;
  /** In order, at most `find.limit`, ending after the first document that passes `pageBytes`; whether there are more. */
  find(scope: Scope, find: Find): Promise<{ readonly items: readonly StoredDocument[]; readonly hasMore: boolean }>;
  remove(scope: Scope, ids: readonly string[]): Promise<number>;
  removePrefix(scope: Scope, prefix: string): Promise<number>;
  tenants(collection: string): Promise<readonly string[]>;
  sweep(signal: AbortSignal): Promise<number>;
  close(): Promise<void>;
}

/** `collections` are all that exist for callers. */
export function createDocuments(store: DocumentStore, collections: Collections): Documents {
  let preparing: Promise<void> | undefined;
  const ready = (): Promise<void> => {
    preparing ??= store.prepare();
    // A server that was away is asked again by the next request.
    preparing.catch(() => {
      preparing = undefined;
    });
    return preparing;
  };
  const known = (name: string): Collection => {
    const declared = Object.hasOwn(collections, name) ? collections[name] : undefined;
    if (declared !== undefined) return declared;
    throw new DocumentError(
      'DOCUMENT_REFUSED',
      `No job type declares the collection "${name.slice(0, 64)}"; known: ${Object.keys(collections).toSorted().join(', ')}`,
    );
  };
  return {
    kind: store.kind,
    of: (tenant) => ofTenant(store, checkTenant(tenant), known, ready),
    attributionOf: (collection) => known(collection).attribution,
    async tenants(collection) {
      known(collection);
      await ready();
      return store.tenants(collection);
    },
    async problem() {
      try {
        await ready();
        return undefined;
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    },
    async sweep(signal) {
      await ready();
      return store.sweep(signal);
    },
    close: () => store.close(),
  };
}

function ofTenant(
  store: DocumentStore,
  tenant: string,
  known: (name: string) => Collection,
  ready: () => Promise<void>,
): TenantDocuments {
  return {
    async get(collection, id) {
      known(collection);
      checkId(id);
      await ready();
      return store.get({ tenant, collection }, id);
    },
    async put(collection, document, options = {}) {
      const declared = known(collection);
      const checked = checkDocument(document, declared.indexes ?? []);
      const { version } = options;
      if (version !== undefined && !(Number.isSafeInteger(version) && version >= 0))
        throw new DocumentError('DOCUMENT_REFUSED', `expected a version of 0 or more, got ${version}`);
      const ttlMs = ttlOf(collection, declared, options.ttlMs);
      await ready();
      return store.put({ tenant, collection }, checked, { version, ttlMs });
    },
    async putMany(collection, documents, options = {}) {
      const declared = known(collection);
      if (documents.length > sizeLimits.many)
        throw new DocumentError(
          'DOCUMENT_REFUSED',
          `expected at most ${sizeLimits.many} documents at once, got ${documents.length}`,
        );
      const checked = documents.map((document) => checkDocument(document, declared.indexes ?? []));
      checkTogether(checked);
      const ttlMs = ttlOf(collection, declared, options.ttlMs);
      if (checked.length === 0) return;
      await ready();
      await store.putMany({ tenant, collection }, checked, ttlMs);
    },
    async page(collection, query) {
      const find = planFind(query, known(collection).indexes ?? []);
      await ready();
      const { items, hasMore } = await store.find({ tenant, collection }, find);
      const last = items.at(-1);
      return hasMore && last !== undefined ? { items, next: openCursor(find, last) } : { items };
    },
    async remove(collection, ids) {
      known(collection);
      if (ids.length > sizeLimits.many)
        throw new DocumentError('DOCUMENT_REFUSED', `expected at most ${sizeLimits.many} ids, got ${ids.length}`);
      for (const id of ids) checkId(id);
      await ready();
      return ids.length === 0 ? 0 : store.remove({ tenant, collection }, [...new Set(ids)]);
    },
    async removePrefix(collection, prefix) {
      known(collection);
      checkId(prefix);
      await ready();
      return store.removePrefix({ tenant, collection }, prefix);
    },
  };
}

function ttlOf(name: string, { ttlMs }: Collection, wanted: number | undefined): number | undefined {
  if (wanted === undefined) return ttlMs;
  if (ttlMs !== undefined && wanted >= 1 && wanted <= ttlMs) return Math.round(wanted);
  const allowed = ttlMs === undefined ? 'none: the collection declares no ttlMs' : `1 to ${ttlMs}`;
  throw new DocumentError('DOCUMENT_REFUSED', `${name}: expected a ttlMs of ${allowed}, got ${wanted}`);
}

function checkTogether(documents: readonly CheckedDocument[]): void {
  if (new Set(documents.map(({ id }) => id)).size < documents.length)
    throw new DocumentError('DOCUMENT_REFUSED', 'expected documents with different ids, got one id twice');
  const bytes = documents.reduce((sum, { json }) => sum + Buffer.byteLength(json), 0);
  if (bytes > sizeLimits.manyBytes)
    throw new DocumentError(
      'DOCUMENT_REFUSED',
      `expected at most ${sizeLimits.manyBytes} bytes of JSON at once, got ${bytes}`,
    );
}

/** Kept for every tenant whatever job types there are: the cache of aggregation results. */
const ownCollections: Collections = { cache: { ttlMs: 24 * 3_600_000 } };

/**
 * All that job types declare, in one. Several may declare the same collection: their indexes add up, and the one that
 * names a `ttlMs` or an attribution decides. Throws `DocumentError` for names and fields that are none and for two that differ.
 */
export function mergeCollections(declared: Iterable<Collections | undefined>): Collections {
  const merged: Record<string, { indexes: string[][]; ttlMs?: number; attribution?: string }> = {};
  for (const collections of [ownCollections, ...declared]) {
    for (const [name, { indexes = [], ...named }] of Object.entries(collections ?? {})) {
      checkName(name, indexes, named.ttlMs);
      const one = (merged[name] ??= { indexes: [] });
      for (const index of indexes) {
        const fields = index.join();
        if (!one.indexes.some((other) => other.join() === fields)) one.indexes.push([...index]);
      }
      for (const what of ['ttlMs', 'attribution'] as const)
        if (named[what] !== undefined && one[what] !== undefined && one[what] !== named[what])
          throw new DocumentError(
            'DOCUMENT_REFUSED',
            `The collection "${name}" is declared with a ${what} of ${one[what]} and of ${named[what]}; expected one`,
          );
      Object.assign(one, named);
    }
  }
  return merged;
}
