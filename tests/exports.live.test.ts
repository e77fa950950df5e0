/** Exports in a real fleet, where the documents are with the queue and where they are with MongoDB; and a fleet that has none. */
import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { MongoClient } from 'mongodb';
import { afterEach, expect, test } from 'vitest';
import dataExport from '../jobs/data-export/job.ts';
import { loadRegistry } from '../jobs/registry.ts';
import { type Documents, mergeCollections } from '../runtime/documents.ts';
import { mongoPools, openDocuments } from '../runtime/open-documents.ts';
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

/** The lines of the file, after the job has run. */
async function exported(stage: Stage): Promise<string[]> {
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
  return text.split('\r\n');
}

test('on the embedded store, which keeps the documents too', async () => {
  const stage = await open('embedded');
  await stage.start({ QUEUES: 'data-export' });
  await fill(stage, undefined);
  expect((await exported(stage)).slice(1, 2)).toEqual([hundredth]);
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
    const lines = await exported(stage);
    expect([lines[1], lines.length]).toEqual([hundredth, 1_402]);
  },
);
