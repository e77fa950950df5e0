/** Stores that nobody else uses: the embedded one, and a database of our own on each server whose address is given. */
import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import pg from 'pg';
import { redisDatabase } from './redis-database.ts';

export interface FreshStore {
  readonly queueUrl: string;
  readonly mongoUrl?: string;
  readonly drop: () => Promise<void>;
}

export interface StoreChoice {
  readonly name: string;
  readonly open: () => Promise<FreshStore>;
}

/** The database of `owner` is emptied. */
export function storeChoices(owner: Parameters<typeof redisDatabase>[0]): StoreChoice[] {
  const { TEST_POSTGRES_URL: postgres, MONGODB_URL: mongo } = process.env;
  const redis = redisDatabase(owner);
  const embedded = { queueUrl: 'embedded:memory', drop: async () => undefined };
  return [
    { name: 'the embedded store', open: async () => embedded },
    ...(postgres === undefined ? [] : [{ name: 'PostgreSQL', open: () => freshPostgres(postgres) }]),
    ...(redis === undefined || mongo === undefined
      ? []
      : [{ name: 'Redis with MongoDB', open: () => freshPair(redis, mongo) }]),
  ];
}

const freshName = (): string => `jobfleet_test_${randomBytes(6).toString('hex')}`;

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
