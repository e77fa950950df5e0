/** Stores that nobody else uses: an embedded one, and a database of our own on each server whose address is given. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import pg from 'pg';
import { redisDatabase } from './redis-database.ts';

export interface FreshStore {
  readonly queueUrl: string;
  readonly mongoUrl?: string | undefined;
  readonly drop: () => Promise<void>;
}

export interface StoreChoice {
  readonly name: string;
  readonly open: () => Promise<FreshStore>;
}

/** What takes long runs on the embedded store, and on the others where the variable says so. */
export function storeChoicesIfAsked(owner: Parameters<typeof redisDatabase>[0]): StoreChoice[] {
  return process.env['DATA_STORES'] === 'all' ? storeChoices(owner) : storeChoices(owner).slice(0, 1);
}

/** The database of `owner` is emptied. */
export function storeChoices(owner: Parameters<typeof redisDatabase>[0]): StoreChoice[] {
  const { TEST_POSTGRES_URL: postgres, MONGODB_URL: mongo } = process.env;
  const redis = redisDatabase(owner);
  return [
    { name: 'the embedded store', open: freshEmbedded },
    ...(postgres === undefined ? [] : [{ name: 'PostgreSQL', open: () => freshPostgres(postgres) }]),
    ...(redis === undefined || mongo === undefined
      ? []
      : [{ name: 'Redis with MongoDB', open: () => freshPair(redis, mongo) }]),
  ];
}

const freshName = (): string => `jobfleet_test_${randomBytes(6).toString('hex')}`;

export async function freshEmbedded(): Promise<FreshStore> {
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-fresh-'));
  return {
    queueUrl: `embedded:${join(folder, 'queue')}`,
    drop: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }),
  };
}

async function freshPostgres(url: string): Promise<FreshStore> {
  const name = freshName();
  const run = async (sql: string): Promise<void> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  };
  await run(`CREATE DATABASE ${name}`);
  const own = new URL(url);
  own.pathname = `/${name}`;
  return { queueUrl: own.href, drop: () => run(`DROP DATABASE ${name} WITH (FORCE)`) };
}

async function freshPair(redisUrl: string, mongoUrl: string): Promise<FreshStore> {
  const client = new Redis(redisUrl);
  try {
    await client.flushdb();
  } finally {
    await client.quit();
  }
  const mongo = new URL(mongoUrl);
  mongo.pathname = `/${freshName()}`;
  return {
    queueUrl: redisUrl,
    mongoUrl: mongo.href,
    drop: async () => {
      const store = new MongoClient(mongo.href);
      try {
        await store.db().dropDatabase();
      } finally {
        await store.close();
      }
    },
  };
}
