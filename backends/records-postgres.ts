/** `RecordStore` in schema `jobfleet`: one statement or function each, expiry compared with the server's clock. */
import type { Pool } from 'pg';
import type { RecordStore } from './backend.ts';
import { gather } from './gather.ts';
import { isLost } from './postgres-pool.ts';
import { checkRecord } from './record-limits.ts';
import { asError } from './unreachable.ts';

interface Row {
  readonly key: string;
  readonly value: string;
  /** Microseconds since 1970 as a double: exact until the year 2255. */
  readonly version: number;
}

const alive = '(expires_at IS NULL OR expires_at > clock_timestamp())';

// In the order of keys, as every statement of many takes its rows: two that meet wait for each other and do not deadlock.
// The second half answers for records that were there before. It sees nothing of one that another session made after this
// statement began; its caller then asks again.
const put = `
  WITH given AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::float8[]) AS g (key, value, ttl)
  ), put AS (
    INSERT INTO jobfleet.record AS r (key, value, version, expires_at)
    SELECT key, value, jobfleet.next_version(0), jobfleet.expiry(ttl) FROM given ORDER BY key
    ON CONFLICT (key) DO UPDATE
      SET value = EXCLUDED.value, version = jobfleet.next_version(r.version), expires_at = EXCLUDED.expires_at
      WHERE r.expires_at <= clock_timestamp()
    RETURNING key, value, version::float8 AS version)
  SELECT key, true AS stored, value, version FROM put
  UNION ALL
  SELECT key, false, value, version::float8 FROM jobfleet.record
   WHERE key = ANY($1::text[]) AND ${alive} AND key NOT IN (SELECT key FROM put)`;

// Of two changes of one version in a batch one is made; its place says which.
const replace = `
  UPDATE jobfleet.record AS r
     SET value = g.value, version = jobfleet.next_version(r.version), expires_at = jobfleet.expiry(g.ttl)
    FROM unnest($1::text[], $2::bigint[], $3::text[], $4::float8[]) WITH ORDINALITY AS g (key, version, value, ttl, place)
   WHERE r.key = g.key AND r.version = g.version AND ${alive}
  RETURNING g.place::int AS place`;

const shorten = `UPDATE jobfleet.record SET expires_at = jobfleet.expiry($2::float8) WHERE key = ANY($1::text[]) AND ${alive}`;

const remove = `DELETE FROM jobfleet.record WHERE key = $1 AND version = $2::bigint AND ${alive}`;

const read = `SELECT key, value, version::float8 AS version FROM jobfleet.record WHERE key = ANY($1::text[]) AND ${alive}`;

// The keys are in the order of their bytes (COLLATE "C"), so this reads a part of their index.
const startingWith = `
  SELECT key, value, version::float8 AS version FROM jobfleet.record WHERE key ^@ $1 AND ${alive} ORDER BY key`;

interface Put {
  readonly key: string;
  readonly value: string;
  readonly ttlMs: number | null;
}

type Stored = Awaited<ReturnType<RecordStore['putIfAbsent']>>;

/** Writes that come together share a statement and its commit, unless `batching` is false. */
export function postgresRecords(pool: Pool, batching: boolean): RecordStore {
  /** One statement for all; where one of them undid it, each by itself. */
  const sharing = <Entry, Answer>(together: (batch: readonly Entry[]) => Promise<readonly Answer[]>) => {
    const alone = async (entry: Entry): Promise<Answer> => {
      const [answer] = await together([entry]);
      if (answer === undefined) throw new RangeError('a statement of one record answered for none');
      return answer;
    };
    if (!batching) return alone;
    return gather<Entry, Answer>({
      most: 25,
      mostWeight: 25,
      weigh: () => 1,
      lanes: 2,
      async send(batch) {
        try {
          return await together(batch);
        } catch (error) {
          if (batch.length === 1 || isLost(error)) throw error;
          return Promise.all(batch.map((entry) => alone(entry).catch(asError)));
        }
      },
    });
  };
  const putOne = sharing<Put, Stored | 'unseen'>(async (batch) => {
    const values = [batch.map(({ key }) => key), batch.map(({ value }) => value), batch.map(({ ttlMs }) => ttlMs)];
    const { rows } = await pool.query<Row & { stored: boolean }>({ name: 'jobfleet-record-put', text: put, values });
    const found = new Map(rows.map(({ key, stored, value, version }) => [key, { stored, value, version }]));
    return batch.map(({ key }) => found.get(key) ?? 'unseen');
  });
  const replaceOne = sharing<Put & { readonly version: number }, boolean>(async (batch) => {
    const values = [
      batch.map(({ key }) => key),
      batch.map(({ version }) => version),
      batch.map(({ value }) => value),
      batch.map(({ ttlMs }) => ttlMs),
    ];
    const { rows } = await pool.query<{ place: number }>({ name: 'jobfleet-record-set', text: replace, values });
    const changed = new Set(rows.map(({ place }) => place));
    return batch.map((_, index) => changed.has(index + 1));
  });
  return {
    async putIfAbsent(key, value, ttlMs) {
      checkRecord(key, value);
      for (;;) {
        const stored = await putOne({ key, value, ttlMs });
        if (stored !== 'unseen') return stored;
      }
    },
    async compareAndSet(key, version, value, ttlMs) {
      checkRecord(key, value);
      if (value !== null) return replaceOne({ key, version, value, ttlMs });
      const { rowCount } = await pool.query(remove, [key, version]);
      return rowCount === 1;
    },
    async expire(keys, ttlMs) {
      if (keys.length === 0) return;
      await pool.query({ name: 'jobfleet-record-expire', text: shorten, values: [keys, ttlMs] });
    },
    async get(keys) {
      if (keys.length === 0) return [];
      const { rows } = await pool.query<Row>(read, [keys]);
      const found = new Map(rows.map(({ key, value, version }) => [key, { value, version }]));
      return keys.map((key) => found.get(key));
    },
    async list(prefix) {
      return (await pool.query<Row>(startingWith, [prefix])).rows;
    },
    async acquire(key, holder, max, ttlMs) {
      checkRecord(key, holder);
      const { rows } = await pool.query<{ held: boolean }>('SELECT jobfleet.acquire($1, $2, $3, $4) AS held', [
        key,
        holder,
        max,
        ttlMs,
      ]);
      return rows[0]?.held ?? false;
    },
    async release(key, holder) {
      await pool.query('DELETE FROM jobfleet.holder WHERE key = $1 AND holder = $2', [key, holder]);
    },
  };
}

/** Deletes what has expired, at most `limit` of each kind; answers how many. Readers never see expired records anyway. */
export async function sweepRecords(pool: Pool, limit: number): Promise<number> {
  const sweep = (table: string) =>
    pool.query(
      `DELETE FROM jobfleet.${table} WHERE ctid = ANY(ARRAY(
         SELECT ctid FROM jobfleet.${table} WHERE expires_at <= clock_timestamp() LIMIT $1))`,
      [limit],
    );
  const rates = pool.query(
    `DELETE FROM jobfleet.rate WHERE ctid = ANY(ARRAY(
       SELECT ctid FROM jobfleet.rate WHERE expire <= extract(epoch FROM clock_timestamp()) * 1000 LIMIT $1))`,
    [limit],
  );
  const swept = [await sweep('record'), await sweep('holder'), await rates];
  return swept.reduce((sum, { rowCount }) => sum + (rowCount ?? 0), 0);
}
