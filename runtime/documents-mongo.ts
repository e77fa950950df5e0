/**
 * Documents in MongoDB: a collection of its own for each, `_id` = `<tenant>/<id>`, `t` the tenant, `v` the version, `x`
 * when it expires, `d` the fields. Works on a standalone server: no transactions, no change streams, no update with a
 * pipeline. What MongoDB means by a comparison with a list (any of its items) is not what it means here: lists are left
 * out on the way to a field and in it.
 */
import { createHash } from 'node:crypto';
import {
  type AnyBulkWriteOperation,
  BSON,
  type Db,
  type Filter,
  type IndexDescription,
  MongoClient,
  type MongoClientOptions,
  type Collection as MongoCollection,
  MongoError,
  MongoServerError,
  type UpdateFilter,
} from 'mongodb';
import { DocumentError, readJson } from './document-checks.ts';
import { afterFilter, conditionFilter, type MongoFilter } from './document-filter-mongo.ts';
import { type Find, prefixEnd, type StoredDocument } from './document-query.ts';
import {
  type Collections,
  createDocuments,
  type DocumentStore,
  type Documents,
  pageBytes,
  queryLimits,
  type Scope,
} from './documents.ts';

interface Kept {
  readonly _id: string;
  readonly t: string;
  readonly v: number;
  readonly x?: Date;
  readonly d: Readonly<Record<string, unknown>>;
}

const duplicateKey = 11_000;
const timeLimitExceeded = 50;
const defaultDatabase = 'jobfleet';
const timeouts = {
  maxIdleTimeMS: 30_000,
  waitQueueTimeoutMS: 5_000,
  serverSelectionTimeoutMS: 5_000,
  connectTimeoutMS: 10_000,
  socketTimeoutMS: 20_000,
  retryReads: true,
  retryWrites: true,
} as const;
const one = { maxTimeMS: queryLimits.oneMs };
const many = { maxTimeMS: queryLimits.manyMs };

/**
 * Connects when it is first asked. Connections at most: 20 in a worker, 100 in the API, which keeps 10. `url` names the
 * database; default `jobfleet`. Throws for an address that is none.
 */
export function mongoDocuments(
  url: string,
  collections: Collections,
  pool: { readonly maxPoolSize: number; readonly minPoolSize: number },
): Documents {
  const client = new MongoClient(url, { appName: 'jobfleet', ...withoutGiven(url, { ...timeouts, ...pool }) });
  // The driver's own default is `test`.
  const db = client.db(/^[^/]+\/\/[^/]+\/[^?]/.test(url) ? undefined : defaultDatabase);
  const of = ({ collection }: Pick<Scope, 'collection'>): MongoCollection<Kept> => db.collection<Kept>(collection);
  const hasTtl = ({ collection }: Scope): boolean => collections[collection]?.ttlMs !== undefined;
  /** An expired document is absent: nothing of it, its version neither, reaches what takes its place. */
  const clear = async (scope: Scope, ids: readonly string[]): Promise<void> => {
    if (!hasTtl(scope)) return;
    await of(scope).deleteMany({ _id: { $in: ids.map((id) => keyOf(scope, id)) }, x: { $lte: new Date() } }, many);
  };
  const store: DocumentStore = {
    kind: 'mongodb',
    prepare: () => told(() => makeIndexes(db, collections)),
    get: (scope, id) =>
      told(async () => {
        const found = await of(scope).findOne({ _id: keyOf(scope, id), ...isLive() }, one);
        return found === null ? undefined : readKept(scope, found);
      }),
    put: (scope, { id, json }, { version, ttlMs }) =>
      told(async () => {
        await clear(scope, [id]);
        const write = writeOf(scope, json, ttlMs);
        const _id = keyOf(scope, id);
        if (version === undefined) {
          await upsert(() => of(scope).updateOne({ _id }, write, { ...one, upsert: true }));
          return true;
        }
        if (version === 0) return insertOnce(of(scope), _id, write);
        const { matchedCount } = await of(scope).updateOne({ _id, v: version, ...isLive() }, write, one);
        return matchedCount === 1;
      }),
    putMany: (scope, documents, ttlMs) =>
      told(async () => {
        await clear(
          scope,
          documents.map(({ id }) => id),
        );
        const writes: AnyBulkWriteOperation<Kept>[] = documents.map(({ id, json }) => ({
          updateOne: { filter: { _id: keyOf(scope, id) }, update: writeOf(scope, json, ttlMs), upsert: true },
        }));
        await upsert(() => of(scope).bulkWrite(writes, { ...many, ordered: false }));
      }),
    find: (scope, find) => told(() => findPage(db.collection(scope.collection), scope, find)),
    remove: (scope, ids) => told(() => removeWhere(of(scope), { _id: { $in: ids.map((id) => keyOf(scope, id)) } })),
    removePrefix: (scope, prefix) =>
      told(() => {
        const end = prefixEnd(keyOf(scope, prefix));
        return removeWhere(of(scope), {
          _id: { $gte: keyOf(scope, prefix), ...(end === undefined ? {} : { $lt: end }) },
        });
      }),
    tenants: (collection) => told(() => of({ collection }).distinct('t', isLive(), many)),
    // Its TTL index does it.
    sweep: async () => 0,
    close: () => client.close(),
  };
  return createDocuments(store, collections);
}

/** What the address says wins; the driver would let the options win. */
function withoutGiven(url: string, options: MongoClientOptions): MongoClientOptions {
  const given = new Set([...new URLSearchParams(url.split('?')[1] ?? '').keys()].map((name) => name.toLowerCase()));
  const ours = { ...options };
  for (const name of Object.keys(ours)) if (given.has(name.toLowerCase())) Reflect.deleteProperty(ours, name);
  return ours;
}

const keyOf = ({ tenant }: Scope, id: string): string => `${tenant}/${id}`;

/** Compared here too: the server deletes what has expired about once a minute. */
function isLive() {
  return { x: { $not: { $lte: new Date() } } };
}

function readKept(scope: Scope, { _id, v, d }: Kept): StoredDocument {
  return { _id: _id.slice(scope.tenant.length + 1), _version: v, ...d };
}

function writeOf({ tenant }: Scope, json: string, ttlMs: number | undefined): UpdateFilter<Kept> {
  const fields = { t: tenant, d: { ...readJson(json) } };
  return ttlMs === undefined
    ? { $set: fields, $unset: { x: '' }, $inc: { v: 1 } }
    : { $set: { ...fields, x: new Date(Date.now() + ttlMs) }, $inc: { v: 1 } };
}

/** Two upserts of one `_id` at once: one of them meets the other's document as a duplicate, and finds it the next time. */
async function upsert(write: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await write();
      return;
    } catch (error) {
      if (!isDuplicate(error) || tries === 10) throw error;
    }
  }
}

function isDuplicate(error: unknown): boolean {
  return error instanceof MongoServerError && error.code === duplicateKey;
}

async function insertOnce(collection: MongoCollection<Kept>, _id: string, write: UpdateFilter<Kept>): Promise<boolean> {
  try {
    // Never matches what is there: the insert of the upsert is refused by the _id.
    await collection.updateOne({ _id, v: 0 }, write, { ...one, upsert: true });
    return true;
  } catch (error) {
    if (isDuplicate(error)) return false;
    throw error;
  }
}

async function removeWhere(collection: MongoCollection<Kept>, filter: Filter<Kept>): Promise<number> {
  const { deletedCount } = await collection.deleteMany({ ...filter, ...isLive() }, many);
  await collection.deleteMany(filter, many);
  return deletedCount;
}

async function findPage(
  collection: MongoCollection,
  scope: Scope,
  find: Find,
): Promise<{ readonly items: readonly StoredDocument[]; readonly hasMore: boolean }> {
  const key = (id: string): string => keyOf(scope, id);
  const way = find.descending ? -1 : 1;
  const own = find.order.length > 0 ? { t: scope.tenant } : { _id: { $gte: key(''), $lt: prefixEnd(key('')) } };
  const tests: MongoFilter[] = [
    own,
    isLive(),
    ...find.conditions.map((one) => conditionFilter(one, key)),
    afterFilter(find, key),
  ];
  const sort = new Map<string, 1 | -1>(
    [...find.order.map((path) => `d.${path.join('.')}`), '_id'].map((field) => [field, way]),
  );
  const cursor = collection.find<Kept>({ $and: tests }, { maxTimeMS: queryLimits.pageMs, sort, limit: find.limit + 1 });
  try {
    const items: StoredDocument[] = [];
    let bytes = 0;
    for await (const kept of cursor) {
      if (items.length === find.limit || bytes >= pageBytes) return { items, hasMore: true };
      items.push(readKept(scope, kept));
      bytes += BSON.calculateObjectSize(kept);
    }
    return { items, hasMore: false };
  } finally {
    await cursor.close();
  }
}

/** Why a server that speaks MongoDB's protocol cannot keep documents; undefined when it can. `buildInfo` is its answer. */
export function serverProblem(buildInfo: Readonly<Record<string, unknown>>): string | undefined {
  const ferret = buildInfo['ferretdbVersion'];
  if (typeof ferret !== 'string' || !ferret.startsWith('v1.')) return undefined;
  return `MONGODB_URL names FerretDB ${ferret}: its find-and-modify is not atomic. Use MongoDB 6 or later, or FerretDB 2.`;
}

async function makeIndexes(db: Db, collections: Collections): Promise<void> {
  const problem = serverProblem(await db.command({ buildInfo: 1, maxTimeMS: queryLimits.oneMs }));
  if (problem !== undefined) throw new DocumentError('DOCUMENTS_UNSUPPORTED', problem);
  await Promise.all(
    Object.entries(collections).map(async ([name, { indexes = [], ttlMs }]) => {
      const wanted: IndexDescription[] = indexes.map((index) => {
        const hash = createHash('sha256').update(index.join()).digest('hex').slice(0, 12);
        return {
          name: `sort_${hash}`,
          key: new Map([['t', 1], ...index.map((field) => [`d.${field}`, 1] as const), ['_id', 1]]),
        };
      });
      if (ttlMs !== undefined) wanted.push({ name: 'expiry', key: { x: 1 }, expireAfterSeconds: 0 });
      // An index that is there already costs a look.
      if (wanted.length > 0) await db.collection(name).createIndexes(wanted);
    }),
  );
}

/** The driver's errors in the words of the port. */
async function told<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof MongoError)) throw error;
    const cause = { cause: error };
    if (!(error instanceof MongoServerError) || error.hasErrorLabel('RetryableWriteError'))
      throw new DocumentError('NETWORK', `MongoDB (MONGODB_URL): ${error.message}`, cause);
    if (error.code === timeLimitExceeded)
      throw new DocumentError('QUERY_TIMEOUT', `MongoDB stopped a query over documents: ${error.message}`, cause);
    throw error;
  }
}
