import { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Backend } from '../backends/backend.ts';
import { openBackend } from '../backends/open.ts';
import { documentsSuite, suiteCollections } from './documents.suite.ts';
import { mergeCollections } from './documents.ts';
import { memoryDocuments } from './documents-memory.ts';
import { serverProblem } from './documents-mongo.ts';
import { postgresDocuments } from './documents-postgres.ts';
import { mongoPools, openDocuments } from './open-documents.ts';

const onError = (error: Error): void => {
  throw error;
};

function sqlOf(backend: Backend) {
  if (backend.sql === undefined) throw new Error('expected a store with SQL');
  return backend.sql;
}

documentsSuite('memory', async () => {
  const documents = memoryDocuments(suiteCollections);
  return { documents, other: documents, close: async () => undefined };
});

documentsSuite('the embedded PostgreSQL', async () => {
  const backend = await openBackend('embedded:memory', { onError });
  const second = await openBackend(backend.leaseConnection.url, { onError });
  return {
    documents: postgresDocuments(sqlOf(backend), suiteCollections),
    other: postgresDocuments(sqlOf(second), suiteCollections),
    close: async () => {
      await second.close();
      await backend.close();
    },
  };
});

describe('documents in PostgreSQL', () => {
  let backend: Backend;
  let pool: Pool;
  beforeAll(async () => {
    backend = await openBackend('embedded:memory', { onError });
    pool = new Pool({ connectionString: backend.leaseConnection.url, max: 2 });
  });
  afterAll(async () => {
    await pool?.end();
    await backend?.close();
  });

  test('makes what is declared once, by any number of processes at the same time, and adds what a release brings', async () => {
    const before = mergeCollections([{ rows: { indexes: [['a']] } }]);
    const problems = await Promise.all(
      Array.from({ length: 8 }, () => postgresDocuments(sqlOf(backend), before).problem()),
    );
    expect(problems).toEqual(Array.from({ length: 8 }, () => undefined));
    const first = postgresDocuments(sqlOf(backend), before).of('t');
    await first.putMany(
      'rows',
      Array.from({ length: 50 }, (_, n) => ({ _id: `${n}`, a: n % 3, b: -n })),
    );
    const after = mergeCollections([before, { rows: { indexes: [['b']] }, more: {} }]);
    const documents = postgresDocuments(sqlOf(backend), after);
    expect(await documents.problem()).toBeUndefined();
    const page = await documents.of('t').page('rows', { sort: [{ field: 'b' }], limit: 3 });
    expect(page.items.map(({ b }) => b)).toEqual([-49, -48, -47]);
    const { rows } = await pool.query(
      `SELECT count(*)::int AS n FROM pg_indexes WHERE schemaname = 'jobfleet_documents'`,
    );
    expect(rows).toEqual([{ n: 3 * 2 + 2 }]);
  });

  test('reads a sorted page by its index, not by sorting the collection', async () => {
    const documents = postgresDocuments(sqlOf(backend), suiteCollections).of('t');
    const many = Array.from({ length: 3_000 }, (_, n) => ({
      _id: `d${n}`,
      group: `g${n % 5}`,
      rank: n,
      fill: 'x'.repeat(200),
    }));
    for (let at = 0; at < many.length; at += 1_000) await documents.putMany('things', many.slice(at, at + 1_000));
    await pool.query('ANALYZE jobfleet_documents.things');
    const client = await pool.connect();
    try {
      const text = `EXPLAIN SELECT id FROM jobfleet_documents.things WHERE tenant = 't'
        AND (jobfleet_documents.key_1(body #> '{group}') COLLATE "C") = ANY (ARRAY['2g1'])
        AND ((jobfleet_documents.key_1(body #> '{group}') COLLATE "C"), (jobfleet_documents.key_1(body #> '{rank}') COLLATE "C"), id) > ('2g1', '1c000000000000000', 'd2')
        ORDER BY (jobfleet_documents.key_1(body #> '{group}') COLLATE "C"), (jobfleet_documents.key_1(body #> '{rank}') COLLATE "C"), id LIMIT 10`;
      const { rows } = await client.query<{ 'QUERY PLAN': string }>(text);
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
      expect(plan).toMatch(/Index (Only )?Scan using things_/);
      expect(plan).not.toMatch(/Sort|Seq Scan/);
    } finally {
      client.release();
    }
  });

  test('stops a query at its time, says so, and leaves the connection as it was', async () => {
    const sql = sqlOf(backend);
    await expect(sql.run('SELECT pg_sleep($1)', [30], { timeoutMs: 50, mayRepeat: true })).rejects.toMatchObject({
      code: 'QUERY_TIMEOUT',
    });
    const settings = await Promise.all(
      Array.from({ length: 10 }, () =>
        sql.run(`SELECT current_setting('statement_timeout') AS ms`, [], { timeoutMs: 1_000, mayRepeat: true }),
      ),
    );
    expect(settings.flat()).toEqual(Array.from({ length: 10 }, () => ({ ms: '1s' })));
    await backend.ping();
  });

  test('never takes more than five connections of the queue', async () => {
    const sql = sqlOf(backend);
    const slow = Array.from({ length: 20 }, () =>
      sql.run(
        `SELECT pg_sleep(0.05), (SELECT count(*)::int FROM pg_stat_activity
          WHERE datname = current_database() AND state = 'active' AND query LIKE '%pg_sleep(0.05)%') AS n`,
        [],
        { timeoutMs: 10_000, mayRepeat: true },
      ),
    );
    const counts = (await Promise.all(slow)).flat().map((row) => Number(Reflect.get(row, 'n')));
    expect(Math.max(...counts)).toBeLessThanOrEqual(5);
    expect(Math.max(...counts)).toBeGreaterThan(1);
  });
});

test('collections of several job types add up; two ttls of one do not', () => {
  const merged = mergeCollections([
    { a: { indexes: [['x'], ['x', 'y']] } },
    undefined,
    { a: { indexes: [['x']], ttlMs: 5_000 } },
  ]);
  expect(merged['a']).toEqual({ indexes: [['x'], ['x', 'y']], ttlMs: 5_000 });
  expect(() => mergeCollections([{ a: { ttlMs: 5_000 } }, { a: { ttlMs: 6_000 } }])).toThrow(
    /ttlMs of 5000 and of 6000/,
  );
  for (const bad of [
    { A: {} },
    { 'a-b': {} },
    { ['x'.repeat(49)]: {} },
    { a: { indexes: [[]] } },
    { a: { indexes: [['x', 'x']] } },
    { a: { indexes: [['_id']] } },
    { a: { ttlMs: 1 } },
  ])
    expect(() => mergeCollections([bad])).toThrow(expect.objectContaining({ code: 'DOCUMENT_REFUSED' }));
});

test('refuses FerretDB 1 and opens nothing where nothing can keep documents', async () => {
  expect(serverProblem({ version: '7.0.42', ferretdbVersion: 'v1.24.0' })).toMatch(/FerretDB v1.24.0.+not atomic/);
  expect(serverProblem({ version: '7.0.77', ferretdbVersion: 'v2.1.0' })).toBeUndefined();
  expect(serverProblem({ version: '8.0.4' })).toBeUndefined();
  const nowhere = { mongoUrl: undefined, sql: undefined, pool: mongoPools.worker };
  expect(await openDocuments({}, nowhere)).toBeUndefined();
  const mistyped = openDocuments({}, { ...nowhere, mongoUrl: 'postgres://user:secret@host/db' });
  await expect(mistyped).rejects.toThrow(/^MONGODB_URL: expected mongodb:/);
  await expect(mistyped).rejects.not.toThrow(/secret/);
});
