/** `RecordStore` in schema `jobfleet`: one statement or function each, expiry compared with the server's clock. */
import type { Pool } from 'pg';
import type { RecordEntry, RecordStore } from './backend.ts';
import { checkRecord } from './record-limits.ts';

interface Row {
  readonly key: string;
  readonly value: string;
  /** Microseconds since 1970 as a double: exact until the year 2255. */
  readonly version: number;
}

const alive = '(expires_at IS NULL OR expires_at > clock_timestamp())';

// The second half answers for a record that was there before. It sees nothing when another session made the record after
// this statement began; the caller then asks again.
const put = `
  WITH put AS (
    INSERT INTO jobfleet.record AS r (key, value, version, expires_at)
    VALUES ($1, $2, jobfleet.next_version(0), jobfleet.expiry($3::float8))
    ON CONFLICT (key) DO UPDATE
      SET value = EXCLUDED.value, version = jobfleet.next_version(r.version), expires_at = EXCLUDED.expires_at
      WHERE r.expires_at <= clock_timestamp()
    RETURNING value, version::float8 AS version)
  SELECT true AS stored, value, version FROM put
  UNION ALL
  SELECT false, value, version::float8 FROM jobfleet.record
   WHERE key = $1 AND ${alive} AND NOT EXISTS (SELECT FROM put)`;

const replace = `
  UPDATE jobfleet.record
     SET value = $3, version = jobfleet.next_version(version), expires_at = jobfleet.expiry($4::float8)
   WHERE key = $1 AND version = $2::bigint AND ${alive}`;

const remove = `DELETE FROM jobfleet.record WHERE key = $1 AND version = $2::bigint AND ${alive}`;

const read = `SELECT key, value, version::float8 AS version FROM jobfleet.record WHERE key = ANY($1::text[]) AND ${alive}`;

// The keys are in the order of their bytes (COLLATE "C"), so this reads a part of their index.
const startingWith = `
  SELECT key, value, version::float8 AS version FROM jobfleet.record WHERE key ^@ $1 AND ${alive} ORDER BY key`;

export function postgresRecords(pool: Pool): RecordStore {
  return {
    async putIfAbsent(key, value, ttlMs) {
      checkRecord(key, value);
      for (;;) {
        const { rows } = await pool.query<RecordEntry & { stored: boolean }>(put, [key, value, ttlMs]);
        if (rows[0] !== undefined) return rows[0];
      }
    },
    async compareAndSet(key, version, value, ttlMs) {
      checkRecord(key, value);
      const { rowCount } =
        value === null
          ? await pool.query(remove, [key, version])
          : await pool.query(replace, [key, version, value, ttlMs]);
      return rowCount === 1;
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
