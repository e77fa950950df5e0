/** Exports in a real fleet, where the documents are with the queue and where they are with MongoDB; and a fleet that has none. */
import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { MongoClient } from 'mongodb';
import { afterEach, expect, test } from 'vitest';
import { z } from 'zod';
import dataExport from '../jobs/data-export/job.ts';
import { loadRegistry } from '../jobs/registry.ts';
import { createKeys } from '../producers/keys.ts';
import { type Documents, mergeCollections } from '../runtime/documents.ts';
import { mongoPools, openDocuments } from '../runtime/open-documents.ts';
import { openTestApi } from './support/api.ts';
import { openStage, type Stage } from './support/fleet.ts';
import { redisDatabase } from './support/redis-database.ts';

const redisUrl = redisDatabase('exports');
const mongoUrl = process.env['MONGODB_URL'];
const collections = mergeCollections([...(await loadRegistry()).jobs.values()].map((job) => job.collections));
const hundredth = `"m100","'=1+1","'+** ******3210","100"`;
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

function ownMongo(): string {
  const url = new URL(mongoUrl ?? 'mongodb://127.0.0.1');
  url.pathname = `/jobfleet-test-${randomBytes(6).toString('hex')}`;
  closing.push(async () => {
    const client = new MongoClient(url.href);
    await client.db().dropDatabase();
    await client.close();
  });
  return url.href;
}

async function open(store: string): Promise<Stage> {
  const stage = await openStage(store, 'real');
  closing.push(() => stage.close());
  return stage;
}

/** Two tenants' matches, written as a worker would write them. */
async function fill(stage: Stage, url: string | undefined): Promise<Documents> {
  const { backend } = await stage.open();
  const documents = await openDocuments(collections, { mongoUrl: url, sql: backend.sql, pool: mongoPools.worker });
  if (documents === undefined) throw new Error('expected a store of documents');
  closing.push(() => documents.close());
  const rows = Array.from({ length: 1_500 }, (_, n) => ({ _id: `m${n}`, note: '=1+1', phone: '+91 9876543210', n }));
  for (const part of [rows.slice(0, 1_000), rows.slice(1_000)]) await documents.of('acme').putMany('cache', part);
  await documents.of('other').put('cache', { _id: 'm1', note: 'of somebody else' });
  return documents;
}

/** The id of the job, once it has run, and the lines of its file. */
async function exported(stage: Stage): Promise<{ readonly id: string; readonly lines: readonly string[] }> {
  const { client } = await stage.open();
  const columns = [{ field: '_id' }, { field: 'note' }, { field: 'phone' }, { field: 'n', type: 'number' as const }];
  const { id } = await client.enqueue(
    dataExport,
    { collection: 'cache', columns, format: 'csv', filter: { n: { gte: 100 } } },
    { tenant: 'acme' },
  );
  const done = await stage.reaches(id, 'completed', 'failed');
  expect(done).toMatchObject({ status: 'completed', result: { rows: 1_400, bound: 'm999' } });
  const found = await stage.objects.get(`t/acme/exports/${id}/cache.csv`);
  const text = found === undefined ? '' : (await buffer(found.body)).toString();
  return { id, lines: text.split('\r\n') };
}

test('on the embedded store, which keeps the documents too', async () => {
  const stage = await open('embedded');
  await stage.start({ QUEUES: 'data-export' });
  await fill(stage, undefined);
  const { lines } = await exported(stage);
  expect(lines.slice(1, 2)).toEqual([hundredth]);
});

test('another tenant gets neither the job of an export nor a link to its file, whatever it asks for', async () => {
  const stage = await open('embedded');
  await stage.start({ QUEUES: 'data-export' });
  await fill(stage, undefined);
  const { id } = await exported(stage);
  const { backend } = await stage.open();
  const api = await openTestApi({ backend, objects: stage.objects });
  closing.push(() => api.close());
  const keys = createKeys({ records: backend.records });
  const ask = async (tenant: string) => {
    const { key } = await keys.create({ tenant, scopes: ['jobs'] });
    return (method: string, path: string, body?: unknown) =>
      api.call(method, path, body, { authorization: `Bearer ${key}` });
  };
  const [acme, other] = [await ask('acme'), await ask('other')];
  const seen = await acme('GET', `/v1/jobs/${id}`);
  const [file] = z.object({ files: z.array(z.object({ url: z.string(), object: z.string() })) }).parse(seen.json).files;
  expect((await (await fetch(file?.url ?? '')).text()).split('\r\n')).toHaveLength(1_402);

  const refused = [await other('GET', `/v1/jobs/${id}`), await other('GET', `/v1/jobs/data-export_${'0'.repeat(26)}`)];
  expect(refused.map(({ status, json }) => [status, json['code'], json['detail']])).toEqual(
    Array.from({ length: 2 }, () => [404, 'NOT_FOUND', refused[1]?.json['detail']]),
  );
  expect(JSON.stringify(refused)).not.toContain('exports/');
  // Its link opens the one file: no other path, and no file of its own through an export's result.
  for (const path of ['cache.xlsx', '..%2f..%2f..%2fother%2fx', ''])
    expect((await fetch((file?.url ?? '').replace(/cache\.csv$/, path))).status).toBe(404);
  const exportOther = await other('POST', '/v1/jobs', {
    type: 'data-export',
    payload: { collection: 'cache', columns: [{ field: '_id' }, { field: 'note' }], format: 'csv' },
  });
  const own = String(exportOther.json['id']);
  await stage.reaches(own, 'completed');
  const ownFile = z
    .object({ files: z.array(z.object({ url: z.string() })) })
    .parse((await other('GET', `/v1/jobs/${own}`)).json).files[0];
  expect(await (await fetch(ownFile?.url ?? '')).text()).toBe('"_id","note"\r\n"m1","of somebody else"\r\n');
});

test.skipIf(redisUrl === undefined || mongoUrl === undefined)(
  'on Redis with documents in MongoDB; without them the type is grey and everything else runs',
  async () => {
    const stage = await open(redisUrl ?? '');
    const without = await stage.start({ QUEUES: 'data-export,image-processing' });
    expect(without.output()).toContain(
      'MONGODB_URL is missing: documents are kept by MongoDB when the queue is on Redis',
    );
    without.child.kill('SIGTERM');
    expect((await without.exited).code).toBe(0);
    const url = ownMongo();
    await stage.start({ QUEUES: 'data-export', MONGODB_URL: url });
    await fill(stage, url);
    const { lines } = await exported(stage);
    expect([lines[1], lines.length]).toEqual([hundredth, 1_402]);
  },
);
