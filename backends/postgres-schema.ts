/** The two schemas of a PostgreSQL store: BullMQ's own (`bullmq`) and ours (`jobfleet`). */
import { assertSchemaCompatibility, LATEST_SCHEMA_VERSION, runMigrations, SchemaMigrationRequiredError } from 'bullmq';
import type { Pool, PoolClient } from 'pg';
import { errorCode } from './unreachable.ts';

/** Versions only grow; a step is never edited once released. */
const steps: readonly string[] = [
  `CREATE TABLE jobfleet.record (
     key text COLLATE "C" PRIMARY KEY, value text NOT NULL, version bigint NOT NULL, expires_at timestamptz);
   CREATE INDEX record_expiry ON jobfleet.record (expires_at) WHERE expires_at IS NOT NULL;
   CREATE TABLE jobfleet.holder (
     key text COLLATE "C", holder text COLLATE "C", expires_at timestamptz NOT NULL, PRIMARY KEY (key, holder));
   -- Versions are microseconds of the server's clock, so that a record made anew never repeats one of its former life.
   CREATE FUNCTION jobfleet.next_version(after bigint) RETURNS bigint LANGUAGE sql VOLATILE AS
     $$ SELECT greatest(after + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) $$;
   CREATE FUNCTION jobfleet.expiry(ttl_ms double precision) RETURNS timestamptz LANGUAGE sql VOLATILE AS
     $$ SELECT clock_timestamp() + ttl_ms * interval '1 millisecond' $$;
   CREATE FUNCTION jobfleet.acquire(p_key text, p_holder text, p_max integer, p_ttl_ms double precision)
     RETURNS boolean LANGUAGE plpgsql AS $$
   BEGIN
     -- Two claimants of one key count each other only when they come one after the other.
     PERFORM pg_advisory_xact_lock(1245790790, hashtext(p_key));
     DELETE FROM jobfleet.holder WHERE key = p_key AND expires_at <= clock_timestamp();
     IF (SELECT count(*) FROM jobfleet.holder WHERE key = p_key AND holder <> p_holder) >= p_max THEN
       RETURN false;
     END IF;
     INSERT INTO jobfleet.holder VALUES (p_key, p_holder, jobfleet.expiry(p_ttl_ms))
       ON CONFLICT (key, holder) DO UPDATE SET expires_at = EXCLUDED.expires_at;
     RETURN true;
   END $$;`,
  `CREATE TABLE jobfleet.rate (key varchar(255) PRIMARY KEY, points integer NOT NULL DEFAULT 0, expire bigint);
   CREATE TABLE jobfleet.tag (
     queue text COLLATE "C", flow text COLLATE "C", last float8 NOT NULL, PRIMARY KEY (queue, flow)) WITH (fillfactor = 50);
   CREATE TABLE jobfleet.tag_queue (
     queue text COLLATE "C" PRIMARY KEY, passed float8 NOT NULL DEFAULT 0, top integer NOT NULL DEFAULT 0);
   CREATE FUNCTION jobfleet.next_tags(p_queue text, p_flows text[], p_costs float8[], p_highest float8)
     RETURNS integer[] LANGUAGE plpgsql AS $$
   DECLARE
     v_passed float8;
     v_tags integer[];
   BEGIN
     -- A tag that a crash takes away costs its flow a place; it is not worth a flush.
     PERFORM set_config('synchronous_commit', 'off', true);
     PERFORM pg_advisory_xact_lock(1245790791, hashtext(p_queue));
     IF NOT EXISTS (SELECT FROM bullmq.job WHERE queue = p_queue AND state = 'waiting')
        AND NOT EXISTS (SELECT FROM bullmq.job WHERE queue = p_queue AND state = 'delayed') THEN
       DELETE FROM jobfleet.tag WHERE queue = p_queue;
       DELETE FROM jobfleet.tag_queue WHERE queue = p_queue;
     END IF;
     SELECT passed INTO v_passed FROM jobfleet.tag_queue WHERE queue = p_queue;
     WITH turn AS (
       SELECT flow, place, sum(cost) OVER (PARTITION BY flow ORDER BY place) AS way
         FROM unnest(p_flows, p_costs) WITH ORDINALITY AS t(flow, cost, place)),
     given AS (
       SELECT t.flow, t.place, least(p_highest, greatest(coalesce(v_passed, 0), coalesce(k.last, 0)) + t.way) AS tag
         FROM turn t LEFT JOIN jobfleet.tag k ON k.queue = p_queue AND k.flow = t.flow),
     kept AS (
       INSERT INTO jobfleet.tag (queue, flow, last) SELECT p_queue, flow, max(tag) FROM given GROUP BY flow
       ON CONFLICT (queue, flow) DO UPDATE SET last = EXCLUDED.last)
     SELECT array_agg(ceil(tag)::integer ORDER BY place) INTO v_tags FROM given;
     INSERT INTO jobfleet.tag_queue AS q (queue, top) VALUES (p_queue, (SELECT max(tag) FROM unnest(v_tags) tag))
       ON CONFLICT (queue) DO UPDATE SET top = greatest(q.top, EXCLUDED.top);
     RETURN v_tags;
   END $$;
   -- A tag above the highest one given is of a time before the queue was empty.
   CREATE FUNCTION jobfleet.pass_tag(p_queue text, p_tag integer) RETURNS void LANGUAGE plpgsql AS $$
   BEGIN
     PERFORM set_config('synchronous_commit', 'off', true);
     PERFORM pg_advisory_xact_lock(1245790791, hashtext(p_queue));
     UPDATE jobfleet.tag_queue SET passed = p_tag WHERE queue = p_queue AND passed < p_tag AND top >= p_tag;
     IF FOUND THEN
       DELETE FROM jobfleet.tag WHERE queue = p_queue AND last <= p_tag;
     END IF;
   END $$;`,
  // Jobs of nobody, the usual case on a small site, cost it nothing.
  `CREATE INDEX IF NOT EXISTS jobfleet_tenant
     ON bullmq.job (queue, (opts->'jobfleet'->>'tenant'), added_at_ms, id)
     WHERE opts->'jobfleet'->>'tenant' IS NOT NULL;`,
];

/**
 * Brings both schemas up to date on one session. Safe in several processes at once (advisory locks) and next to nothing
 * (two reads) when there is nothing to do. Needs the right to create schemas the first time.
 */
export async function migrate(pool: Pool): Promise<void> {
  const client = await pool.connect();
  try {
    const [theirs, ours] = [await bullmqVersion(client), await ownVersion(client)];
    if (theirs < LATEST_SCHEMA_VERSION) await runMigrations(client, 'bullmq');
    if (ours < steps.length) await migrateOwn(client);
  } finally {
    client.release();
  }
}

async function bullmqVersion(client: PoolClient): Promise<number> {
  try {
    return await assertSchemaCompatibility(client, 'bullmq');
  } catch (error) {
    if (error instanceof SchemaMigrationRequiredError) return 0;
    throw error;
  }
}

async function ownVersion(client: PoolClient): Promise<number> {
  try {
    const { rows } = await client.query<{ version: number }>(
      'SELECT coalesce(max(version), 0)::int AS version FROM jobfleet.migration',
    );
    return rows[0]?.version ?? 0;
  } catch (error) {
    if (errorCode(error) === '42P01' || errorCode(error) === '3F000') return 0;
    throw error;
  }
}

async function migrateOwn(client: PoolClient): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query('SELECT pg_advisory_xact_lock(1245790790, 0)');
    await client.query('CREATE SCHEMA IF NOT EXISTS jobfleet');
    await client.query(
      'CREATE TABLE IF NOT EXISTS jobfleet.migration (version int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())',
    );
    const version = await ownVersion(client);
    for (const [index, step] of steps.entries()) {
      if (index < version) continue;
      await client.query(step);
      await client.query('INSERT INTO jobfleet.migration (version) VALUES ($1)', [index + 1]);
    }
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}
