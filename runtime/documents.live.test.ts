import { randomBytes } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openBackend } from '../backends/open.ts';
import { documentsSuite, suiteCollections } from './documents.suite.ts';
import { mongoDocuments } from './documents-mongo.ts';
import { postgresDocuments } from './documents-postgres.ts';

const onError = (error: Error): void => {
  throw error;
};
const mongoUrl = process.env['MONGODB_URL'];
const pool = { maxPoolSize: 20, minPoolSize: 0 };

/** The address of a database of this test alone. */
function ownDatabase(): string {
  const url = new URL(mongoUrl ?? '');
  url.pathname = `/jobfleet-test-${randomBytes(6).toString('hex')}`;
  return url.href;
}

async function drop(url: string): Promise<void> {
  const client = new MongoClient(url);
  await client.db().dropDatabase();
  await client.close();
}

describe.skipIf(mongoUrl === undefined)('MongoDB', () => {
  documentsSuite('MongoDB', async () => {
    const url = ownDatabase();
    const documents = mongoDocuments(url, suiteCollections, pool);
    const other = mongoDocuments(url, suiteCollections, pool);
    return {
      documents,
      other,
      close: async () => {
        await documents.close();
        await other.close();
        await drop(url);
      },
    };
  });

  describe('as it is laid out', () => {
    let url: string;
    let client: MongoClient;
    beforeAll(() => {
      url = ownDatabase();
      client = new MongoClient(url);
    });
    afterAll(async () => {
      await client?.close();
      await drop(url);
    });

    test('makes the declared indexes once, by any number of processes at once', async () => {
      const all = Array.from({ length: 4 }, () => mongoDocuments(url, suiteCollections, pool));
      expect(await Promise.all(all.map((one) => one.problem()))).toEqual(all.map(() => undefined));
      const keys = async (name: string) =>
        (await client.db().collection(name).indexes()).map(({ key, expireAfterSeconds }) => ({
          key,
          expireAfterSeconds,
        }));
      expect(await keys('things')).toEqual([
        { key: { _id: 1 }, expireAfterSeconds: undefined },
        { key: { t: 1, 'd.group': 1, 'd.rank': 1, _id: 1 }, expireAfterSeconds: undefined },
        { key: { t: 1, 'd.at.day': 1, _id: 1 }, expireAfterSeconds: undefined },
      ]);
      expect(await keys('short')).toContainEqual({ key: { x: 1 }, expireAfterSeconds: 0 });
      for (const one of all) await one.close();
    });
  });
});

test('says that a MongoDB that is away is away, quickly enough for a retry', async () => {
  const away = mongoDocuments('mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=300', suiteCollections, pool);
  const startedAt = Date.now();
  await expect(away.of('t').get('things', 'a')).rejects.toMatchObject({ code: 'NETWORK' });
  expect(await away.problem()).toMatch(/MONGODB_URL/);
  expect(Date.now() - startedAt).toBeLessThan(12_000);
  await away.close();
});

const postgresUrl = process.env['TEST_POSTGRES_15_URL'] ?? process.env['TEST_POSTGRES_URL'];

describe.skipIf(postgresUrl === undefined)('PostgreSQL', () => {
  documentsSuite('PostgreSQL', async () => {
    // Its own database, under another language than C: text must sort the same.
    const admin = await openBackend(postgresUrl ?? '', { onError });
    const name = `documents_${randomBytes(6).toString('hex')}`;
    if (admin.sql === undefined) throw new Error('expected a store with SQL');
    await admin.close();
    const { Client } = await import('pg');
    const client = new Client({ connectionString: postgresUrl });
    await client.connect();
    await client.query(`CREATE DATABASE ${name}`);
    const url = new URL(postgresUrl ?? '');
    url.pathname = `/${name}`;
    const first = await openBackend(url.href, { onError });
    const second = await openBackend(url.href, { onError });
    if (first.sql === undefined || second.sql === undefined) throw new Error('expected a store with SQL');
    return {
      documents: postgresDocuments(first.sql, suiteCollections),
      other: postgresDocuments(second.sql, suiteCollections),
      close: async () => {
        await first.close();
        await second.close();
        await client.query(`DROP DATABASE ${name} WITH (FORCE)`);
        await client.end();
      },
    };
  });
});
