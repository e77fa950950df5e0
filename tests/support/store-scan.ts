/** Reads everything a store of jobs holds, to prove that something is nowhere in it. */
import { Cluster, type Redis } from 'ioredis';
import pg from 'pg';
import type { Backend } from '../../backends/backend.ts';
import { dial } from '../../backends/redis-client.ts';
import { hangUp } from '../../backends/redis-lines.ts';
import { parseRedisUrl } from '../../backends/redis-url.ts';

/** Keys (Redis) or tables (PostgreSQL) in which one of the texts stands; `looked`: how many were read. */
export async function findInStore(
  { leaseConnection: { kind, url } }: Pick<Backend, 'leaseConnection'>,
  texts: readonly string[],
): Promise<{ readonly looked: number; readonly found: readonly string[] }> {
  return kind === 'redis' ? findInRedis(url, texts) : findInPostgres(url, texts);
}

async function findInRedis(url: string, texts: readonly string[]) {
  const { client } = await dial(parseRedisUrl(url), () => undefined);
  try {
    const found: string[] = [];
    let looked = 0;
    // Every key of a Cluster lies on one of its primaries.
    for (const node of client instanceof Cluster ? client.nodes('master') : [client])
      for await (const keys of node.scanStream({ count: 500 }))
        for (const key of keys as string[]) {
          looked += 1;
          const held = `${key}\n${JSON.stringify(await readKey(node, key))}`;
          if (texts.some((text) => held.includes(text))) found.push(key);
        }
    return { looked, found };
  } finally {
    await hangUp(client);
  }
}

async function readKey(client: Redis, key: string): Promise<unknown> {
  const type = await client.type(key);
  switch (type) {
    case 'string':
      return client.get(key);
    case 'hash':
      return client.hgetall(key);
    case 'list':
      return client.lrange(key, 0, -1);
    case 'set':
      return client.smembers(key);
    case 'zset':
      return client.zrange(key, '0', '-1');
    case 'stream':
      return client.xrange(key, '-', '+');
    case 'none':
      return undefined;
    default:
      throw new Error(`${key} is a ${type}, which is not read`);
  }
}

async function findInPostgres(url: string, texts: readonly string[]) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows: tables } = await client.query<{ name: string }>(
      `SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables
        WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`,
    );
    const found: string[] = [];
    for (const { name } of tables) {
      const { rows } = await client.query(`SELECT 1 FROM ${name} AS t WHERE t::text LIKE ANY ($1) LIMIT 1`, [
        texts.map((text) => `%${text}%`),
      ]);
      if (rows.length > 0) found.push(name);
    }
    return { looked: tables.length, found };
  } finally {
    await client.end();
  }
}
