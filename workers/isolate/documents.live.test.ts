/** Documents where a handler in a killable child asks its worker for them, on the store that keeps the queue. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Backend } from '../../backends/backend.ts';
import { openBackend } from '../../backends/open.ts';
import exportHandler from '../../jobs/data-export/handler.ts';
import { type Documents, mergeCollections } from '../../runtime/documents.ts';
import { postgresDocuments } from '../../runtime/documents-postgres.ts';
import clerk from '../../tests/support/jobs/clerk/handler.ts';
import { type JobRun, runJob } from '../testing.ts';
import { openPool, type Pool } from './pool.ts';

const sourceOf = (path: string): string => new URL(`../../${path}`, import.meta.url).href;

let backend: Backend;
let documents: Documents;
let base: string;
let pool: Pool;

beforeAll(async () => {
  backend = await openBackend('embedded:memory', { onError: () => undefined });
  if (backend.sql === undefined) throw new Error('expected a store with SQL');
  documents = postgresDocuments(backend.sql, mergeCollections([clerk.job.collections, { rows: {} }]));
  base = await mkdtemp(join(tmpdir(), 'jobfleet-documents-'));
  const types = [
    {
      name: 'clerk',
      handlerUrl: sourceOf('tests/support/jobs/clerk/handler.ts'),
      policy: clerk.job.policy,
      env: {},
    },
    {
      name: 'data-export',
      handlerUrl: sourceOf('jobs/data-export/handler.ts'),
      policy: exportHandler.job.policy,
      env: {},
    },
  ];
  pool = await openPool({ types, base, spares: 0, environment: process.env, log: { warn: () => {}, error: () => {} } });
});

afterAll(async () => {
  await pool?.close();
  await backend?.close();
  await rm(base, { recursive: true, force: true });
});

test('a child writes, reads, streams and removes, also what is longer than a line of its pipe', async () => {
  await using run = await runJob(clerk, {}, { tenant: 'acme', documents, pool });
  expect(run.error).toBeUndefined();
  expect(run.result).toEqual({
    put: [true, false, true, true],
    one: [2, 300_000],
    absent: null,
    places: [1_001, 999, 0],
    shown: { items: [{ _id: 'm3', _version: 1, place: 3 }] },
    refused: 'DOCUMENT_REFUSED',
    removed: [2, 11],
    left: [],
  });
  expect(await documents.of('other').get('papers', 'one')).toBeUndefined();
});

async function text(run: JobRun): Promise<string> {
  const { key } = run.result as { key: string };
  const found = await run.objects.get(key.slice('object:'.length));
  if (found === undefined) throw new Error(`there is no ${key}`);
  return (await buffer(found.body)).toString();
}

test('an export in a child is the one in process, and the child never held what it was not to see', async () => {
  const rows = Array.from({ length: 1_000 }, (_, n) => ({
    _id: `r${n}`,
    n,
    email: `person${n}@example.com`,
    note: '=1',
  }));
  for (const part of ['a', 'b', 'c'])
    await documents.of('acme').putMany(
      'rows',
      rows.map((row) => ({ ...row, _id: part + row._id })),
    );
  const payload = {
    collection: 'rows',
    columns: [{ field: '_id' }, { field: 'n', type: 'number' }, { field: 'email' }, { field: 'note' }],
    format: 'csv',
  };
  await using inChild = await runJob(exportHandler, payload, { tenant: 'acme', documents, pool });
  expect(inChild.error).toBeUndefined();
  expect(inChild.result).toMatchObject({ rows: 3_000, bound: 'cr999' });
  await using here = await runJob(exportHandler, payload, { tenant: 'acme', documents });
  const file = await text(inChild);
  expect(file).toBe(await text(here));
  expect(file).not.toContain('person7@');
  expect(file.split('\r\n')).toHaveLength(3_002);
});

test.each(['pdf', 'xlsx'])('a child finds what it needs for %s: libraries and fonts', async (format) => {
  await documents.of('fonts').put('rows', { _id: 'a', note: 'नमस्ते ₹ 5' });
  const payload = { collection: 'rows', columns: [{ field: 'note' }], format };
  await using run = await runJob(exportHandler, payload, { tenant: 'fonts', documents, pool });
  expect(run.error).toBeUndefined();
  expect(run.result).toMatchObject({ rows: 1 });
  expect((await text(run)).slice(0, 2)).toBe({ pdf: '%P', xlsx: 'PK' }[format]);
});
