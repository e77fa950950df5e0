import { afterAll, beforeAll, expect, it } from 'vitest';
import { mergeCollections } from '../runtime/documents.ts';
import { postgresDocuments, type Sql } from '../runtime/documents-postgres.ts';
import type { Backend } from './backend.ts';
import { openBackend } from './open.ts';

let backend: Backend;
beforeAll(async () => {
  backend = await openBackend('embedded:memory', {
    onError: (error) => {
      throw error;
    },
  });
});
afterAll(() => backend.close());

it('reads a page from its place on, also of a table that the server has no statistics of yet', async () => {
  const { sql } = backend;
  if (sql === undefined) throw new Error('expected a store with SQL');
  let last: Parameters<Sql['run']> | undefined;
  const noted: Sql = {
    run: (...call) => {
      last = call;
      return sql.run(...call);
    },
  };
  const documents = postgresDocuments(noted, mergeCollections([{ rows: {} }])).of('-');
  // Long rows: what the server knows is the size of the table, and from that it guesses.
  const text = 'some text '.repeat(180);
  for (let from = 0; from < 8_000; from += 1_000)
    await documents.putMany(
      'rows',
      Array.from({ length: 1_000 }, (_, n) => ({ _id: String(from + n).padStart(6, '0'), text })),
    );
  const page = { filter: { _id: { lte: '007999' } }, limit: 500 };
  const { next } = await documents.page('rows', page);
  const { items } = await documents.page('rows', { ...page, ...(next === undefined ? {} : { after: next }) });
  expect(items[0]?._id).toBe('000500');

  const [statement, values, options] = last ?? ['', [], { timeoutMs: 1_000, mayRepeat: true }];
  const [plan] = await sql.run(`EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ${statement}`, values, options);
  const told = JSON.stringify(plan);
  expect(told).toContain('"Index Scan"');
  // Sorting the page would read everything behind its place, for each page anew.
  expect(told).not.toMatch(/"Node Type": ?"(Sort|Bitmap Heap Scan|Incremental Sort)"/);
});
