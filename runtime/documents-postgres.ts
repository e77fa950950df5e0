/**
 * Documents in the PostgreSQL that keeps the queue: schema `jobfleet_documents`, a table a collection, the fields as
 * JSONB. Scalars are compared and sorted by a key that holds their kind and value as text whose bytes are in order, made
 * by an immutable function of the server (`key_1`) and by `keyOf` here: indexes are on that key.
 */
import { createHash } from 'node:crypto';
import { checkPath, readJson } from './document-checks.ts';
import { type Condition, type Find, prefixEnd, type Scalar, type StoredDocument } from './document-query.ts';
import {
  type Collections,
  createDocuments,
  type DocumentStore,
  type Documents,
  pageBytes,
  queryLimits,
  type Scope,
} from './documents.ts';

/** Statements on the pool of the backend. */
export interface Sql {
  /**
   * One statement (or, without values, a script) in a transaction of its own. Throws `DocumentError`: `QUERY_TIMEOUT`
   * after `timeoutMs` on the server, `NETWORK` when it was lost. `mayRepeat`: running it twice does no harm.
   */
  run<Row extends object>(
    text: string,
    values: readonly unknown[],
    options: { readonly timeoutMs: number; readonly mayRepeat: boolean },
  ): Promise<readonly Row[]>;
}

const schema = 'jobfleet_documents';
/** Of an advisory lock: one process at a time makes tables. */
const lockKey = 1_245_790_792;
const makeMs = 600_000;
const sweepRows = 10_000;
const one = { timeoutMs: queryLimits.oneMs, mayRepeat: true };
const many = { timeoutMs: queryLimits.manyMs, mayRepeat: true };

/** Uses `sql` and owns nothing: closing it does nothing. `collections` as `mergeCollections` makes them. */
export function postgresDocuments(sql: Sql, collections: Collections): Documents {
  const store: DocumentStore = {
    kind: 'postgres',
    prepare: () => makeTables(sql, collections),
    async get(scope, id) {
      const [row] = await sql.run<Row>(
        `SELECT id, version, body::text AS json FROM ${tableOf(scope)} WHERE tenant = $1 AND id = $2 AND ${isLive}`,
        [scope.tenant, id],
        one,
      );
      return row && readRow(row);
    },
    async put(scope, { id, json }, { version, ttlMs }) {
      const options = { timeoutMs: queryLimits.oneMs, mayRepeat: version === undefined };
      const values = [scope.tenant, id, json, ttlMs ?? null];
      const text = version === undefined || version === 0 ? insert(scope, version) : update(scope);
      const rows = await sql.run(text, version === undefined || version === 0 ? values : [...values, version], options);
      return rows.length > 0;
    },
    async putMany(scope, documents, ttlMs) {
      await sql.run(
        `INSERT INTO ${tableOf(scope)} AS d (tenant, id, version, body, expires_at)
           SELECT $1, n.id, 1, n.json::jsonb, ${expiry('$4')} FROM unnest($2::text[], $3::text[]) AS n (id, json) ORDER BY n.id
         ON CONFLICT (tenant, id) DO UPDATE SET ${overwrite}`,
        [scope.tenant, documents.map(({ id }) => id), documents.map(({ json }) => json), ttlMs ?? null],
        many,
      );
    },
    find: (scope, find) => findPage(sql, scope, find),
    async remove(scope, ids) {
      return countOf(await sql.run(removal(scope, 'd.id = ANY ($2)'), [scope.tenant, ids], many)).live;
    },
    async removePrefix(scope, prefix) {
      const end = prefixEnd(prefix);
      const where = `d.id >= $2${end === undefined ? '' : ' AND d.id < $3'}`;
      const batch = `d.ctid = ANY (ARRAY (SELECT ctid FROM ${tableOf(scope)} d WHERE tenant = $1 AND ${where} LIMIT ${sweepRows}))`;
      let removed = 0;
      for (;;) {
        const values = [scope.tenant, prefix, ...(end === undefined ? [] : [end])];
        const { all, live } = countOf(await sql.run(removal(scope, batch), values, many));
        removed += live;
        if (all < sweepRows) return removed;
      }
    },
    async tenants(collection) {
      const text = `SELECT DISTINCT tenant FROM ${tableOf({ collection })} WHERE ${isLive}`;
      return (await sql.run<{ readonly tenant: string }>(text, [], many)).map(({ tenant }) => tenant);
    },
    sweep: (signal) => sweep(sql, collections, signal),
    close: async () => undefined,
  };
  return createDocuments(store, collections);
}

interface Row {
  readonly id: string;
  readonly version: number;
  readonly json: string;
}

const tableOf = ({ collection }: Pick<Scope, 'collection'>): string => `${schema}."${collection}"`;
const isLive = '(expires_at IS NULL OR expires_at > now())';
const expiry = (ttlMs: string): string => `now() + ${ttlMs}::float8 * interval '1 millisecond'`;
/** An expired document is absent: what takes its place is the first version. */
const overwrite = `version = CASE WHEN d.expires_at <= now() THEN 1 ELSE d.version + 1 END,
           body = EXCLUDED.body, expires_at = EXCLUDED.expires_at`;

function insert(scope: Scope, version: 0 | undefined): string {
  return `INSERT INTO ${tableOf(scope)} AS d (tenant, id, version, body, expires_at)
     VALUES ($1, $2, 1, $3::jsonb, ${expiry('$4')})
     ON CONFLICT (tenant, id) DO UPDATE SET ${overwrite}${version === 0 ? ' WHERE d.expires_at <= now()' : ''}
     RETURNING 1 AS put`;
}

function update(scope: Scope): string {
  return `UPDATE ${tableOf(scope)} SET version = version + 1, body = $3::jsonb, expires_at = ${expiry('$4')}
     WHERE tenant = $1 AND id = $2 AND version = $5 AND ${isLive} RETURNING 1 AS put`;
}

function removal(scope: Scope, where: string): string {
  return `WITH gone AS (DELETE FROM ${tableOf(scope)} d WHERE tenant = $1 AND ${where} RETURNING ${isLive} AS live)
     SELECT count(*)::int AS all, (count(*) FILTER (WHERE live))::int AS live FROM gone`;
}

function countOf(rows: readonly object[]): { readonly all: number; readonly live: number } {
  const [row] = rows;
  return { all: Number(row && Reflect.get(row, 'all')), live: Number(row && Reflect.get(row, 'live')) };
}

function readRow({ id, version, json }: Row): StoredDocument {
  return Object.assign(readJson(json), { _id: id, _version: version });
}

async function findPage(
  sql: Sql,
  scope: Scope,
  find: Find,
): Promise<{ readonly items: readonly StoredDocument[]; readonly hasMore: boolean }> {
  const values: unknown[] = [scope.tenant];
  const add = (value: unknown): string => `$${values.push(value)}`;
  const where = ['tenant = $1', isLive, ...find.conditions.flatMap((condition) => conditionSql(condition, add))];
  const order = [...find.order.map(keySql), 'id'];
  if (find.after !== undefined) {
    const place = [...find.after.values.map(keyOf), find.after.id].map(add);
    where.push(`(${order.join(', ')}) ${find.descending ? '<' : '>'} (${place.join(', ')})`);
  }
  const down = find.descending ? ' DESC' : '';
  const keys = find.order.map((path, at) => `, ${keySql(path)} AS k${at}`).join('');
  // By name: the outer query then sees that the rows come in order already.
  const orderBy = [...find.order.keys()].map((at) => `k${at}${down}, `).join('') + `id${down}`;
  const rows = await sql.run<Row & { readonly found: number }>(
    `SELECT id, version, json, found::int FROM (
       SELECT *, count(*) OVER () AS found,
              sum(octet_length(json)) OVER (ORDER BY ${orderBy} ROWS UNBOUNDED PRECEDING) - octet_length(json) AS before
         FROM (SELECT id, version, body::text AS json${keys} FROM ${tableOf(scope)}
                WHERE ${where.join(' AND ')} ORDER BY ${orderBy} LIMIT ${find.limit + 1}) page) sized
      WHERE before < ${pageBytes} ORDER BY ${orderBy} LIMIT ${find.limit}`,
    values,
    { timeoutMs: queryLimits.pageMs, mayRepeat: true },
  );
  return { items: rows.map(readRow), hasMore: rows.length < (rows[0]?.found ?? 0) };
}

/** Paths are checked: nothing in them ends a literal. */
function keySql(path: readonly string[]): string {
  return `(${schema}.key_1(body #> '{${checkPath(path.join('.')).join(',')}}') COLLATE "C")`;
}

function conditionSql(condition: Condition, add: (value: unknown) => string): string[] {
  const { path, in: values, bounds } = condition;
  if (path[0] === '_id') return idSql(condition, add);
  const key = keySql(path);
  return [
    ...(values === undefined ? [] : [`${key} = ANY (${add(values.map(keyOf))}::text[])`]),
    ...bounds.map(({ op, value }) => {
      const from = kindKeys[kindName(value)];
      // Null has one value only: a bound that leaves it out leaves nothing.
      if (value === null) return op === 'gte' || op === 'lte' ? `${key} = '0'` : 'false';
      const bound = `${key} ${operators[op]} ${add(keyOf(value))}`;
      return op === 'gt' || op === 'gte' ? `${bound} AND ${key} < '${from + 1}'` : `${bound} AND ${key} >= '${from}'`;
    }),
  ];
}

/** An id is text: nothing else equals it or bounds it. */
function idSql({ in: values, bounds }: Condition, add: (value: unknown) => string): string[] {
  return [
    ...(values === undefined ? [] : [`id = ANY (${add(values.filter((value) => typeof value === 'string'))}::text[])`]),
    ...bounds.map(({ op, value }) => (typeof value === 'string' ? `id ${operators[op]} ${add(value)}` : 'false')),
  ];
}

const operators = { gt: '>', gte: '>=', lt: '<', lte: '<=' } as const;
const kindKeys = { null: 0, number: 1, string: 2, boolean: 3 } as const;

function kindName(value: Scalar): keyof typeof kindKeys {
  if (value === null) return 'null';
  return typeof value === 'number' ? 'number' : typeof value === 'string' ? 'string' : 'boolean';
}

/** What `key_1` makes of the same value. Numbers: the bits of the double, turned so that they sort as text of hex digits. */
function keyOf(value: Scalar): string {
  if (value === null) return '0';
  if (typeof value === 'string') return `2${value}`;
  if (typeof value === 'boolean') return value ? '3t' : '3f';
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value + 0);
  const bits = view.getBigUint64(0);
  const sign = 1n << 63n;
  const turned = bits >= sign ? ~bits & ((1n << 64n) - 1n) : bits | sign;
  return `1${turned.toString(16).padStart(16, '0')}`;
}

const functions = `
  CREATE OR REPLACE FUNCTION ${schema}.number_key_1(value float8) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT lpad(to_hex(CASE WHEN bits < 0 THEN ~bits ELSE bits # (-9223372036854775808) END), 16, '0')
      FROM (SELECT ('x' || encode(float8send(value + 0), 'hex'))::bit(64)::bigint AS bits) b $$;
  CREATE OR REPLACE FUNCTION ${schema}.key_1(value jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE coalesce(jsonb_typeof(value), 'null')
      WHEN 'null' THEN '0'
      WHEN 'number' THEN '1' || ${schema}.number_key_1((value #>> '{}')::float8)
      WHEN 'string' THEN '2' || (value #>> '{}')
      WHEN 'boolean' THEN CASE WHEN value = 'true' THEN '3t' ELSE '3f' END
      ELSE '9' END $$;`;

interface Made {
  /** Its name in the schema. */
  readonly name: string;
  readonly text: string;
}

function madeFor(collection: string, indexes: readonly (readonly string[])[]): Made[] {
  const table = tableOf({ collection });
  return [
    {
      name: collection,
      text: `CREATE TABLE IF NOT EXISTS ${table} (
        tenant text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, version integer NOT NULL,
        body jsonb NOT NULL, expires_at timestamptz, PRIMARY KEY (tenant, id));`,
    },
    {
      name: `${collection}_expiry`,
      text: `CREATE INDEX IF NOT EXISTS "${collection}_expiry" ON ${table} (expires_at) WHERE expires_at IS NOT NULL;`,
    },
    ...indexes.map((index) => {
      const hash = createHash('sha256').update(index.join()).digest('hex').slice(0, 12);
      const keys = index.map((field) => keySql(field.split('.'))).join(', ');
      const name = `${collection}_${hash}`;
      return { name, text: `CREATE INDEX IF NOT EXISTS "${name}" ON ${table} (tenant, ${keys}, id);` };
    }),
  ];
}

/** One look when nothing is missing. Under a lock otherwise, so that any number of processes may do it at once. */
async function makeTables(sql: Sql, collections: Collections): Promise<void> {
  const all = Object.entries(collections).flatMap(([name, { indexes = [] }]) => madeFor(name, indexes));
  const missing = await sql.run<{ name: string }>(
    `SELECT name FROM unnest($1::text[]) AS name
      WHERE NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                         WHERE n.nspname = '${schema}' AND c.relname = name)`,
    [all.map(({ name }) => name)],
    many,
  );
  if (missing.length === 0) return;
  const names = new Set(missing.map(({ name }) => name));
  const script = [
    `SELECT pg_advisory_xact_lock(${lockKey});`,
    `CREATE SCHEMA IF NOT EXISTS ${schema};`,
    functions,
    ...all.filter(({ name }) => names.has(name)).map(({ text }) => text),
  ];
  await sql.run(script.join('\n'), [], { timeoutMs: makeMs, mayRepeat: true });
}

async function sweep(sql: Sql, collections: Collections, signal: AbortSignal): Promise<number> {
  let swept = 0;
  for (const collection of Object.keys(collections)) {
    for (;;) {
      signal.throwIfAborted();
      const rows = await sql.run(
        `WITH gone AS (DELETE FROM ${tableOf({ collection })} WHERE ctid = ANY (ARRAY (
           SELECT ctid FROM ${tableOf({ collection })} WHERE expires_at <= now() LIMIT ${sweepRows})) RETURNING 1)
         SELECT count(*)::int AS all FROM gone`,
        [],
        many,
      );
      const { all } = countOf(rows);
      swept += all;
      if (all < sweepRows) break;
    }
  }
  return swept;
}
