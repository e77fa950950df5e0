import { existsSync } from 'node:fs';
import { mkdir, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, type Pool } from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { type MemoryStore, memoryDirectory, openMemory, removeStore, sweepMemory } from './memory.ts';

const onError = (error: Error): never => {
  throw error;
};

async function rows(store: MemoryStore, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: store.url });
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query(text);
  await client.end();
  return rows;
}

test('every opener has a database of its own, copied from one that was prepared once', async () => {
  const dir = memoryDirectory();
  onTestFinished(() => removeStore(dir));
  let prepared = 0;
  const prepare = async (pool: Pool): Promise<void> => {
    prepared += 1;
    await pool.query('create table prepared as select 7 as n');
  };
  const [one, two] = await Promise.all([openMemory({ onError, prepare, dir }), openMemory({ onError, prepare, dir })]);
  expect(prepared).toBe(1);
  expect(one.url).not.toBe(two.url);
  await rows(one, 'update prepared set n = 8');
  expect(await rows(two, 'select n from prepared')).toEqual([{ n: 7 }]);
  await one.close();
  await one.close();
  await expect(rows(one, 'select 1')).rejects.toThrow(/does not exist/);
  await two.close();
});

test('a database waits for those who are about to leave it', async () => {
  const store = await openMemory({ onError });
  const client = new Client({ connectionString: store.url });
  const errors: Error[] = [];
  client.on('error', (error) => errors.push(error));
  await client.connect();
  const asking = client.query("select pg_sleep(0.3), 'bye' as word");
  const closing = store.close();
  expect((await asking).rows).toMatchObject([{ word: 'bye' }]);
  await client.end();
  await closing;
  expect(errors).toEqual([]);
});

test('a database is dropped under those who stay connected', async () => {
  const store = await openMemory({ onError });
  const client = new Client({ connectionString: store.url });
  const ended = new Promise((resolve) => {
    client.on('error', resolve);
  });
  await client.connect();
  await store.close();
  await expect(ended).resolves.toMatchObject({ code: '57P01' });
});

test('a preparation that fails leaves no template, and the next one is tried', async () => {
  const dir = memoryDirectory();
  onTestFinished(() => removeStore(dir));
  const holder = await openMemory({ onError, dir });
  const broken = openMemory({ onError, dir, prepare: () => Promise.reject(new Error('no such table')) });
  await expect(broken).rejects.toThrow('no such table');
  const store = await openMemory({
    onError,
    dir,
    prepare: async (pool) => {
      await pool.query('create table prepared (n int)');
    },
  });
  expect(await rows(store, 'select * from prepared')).toEqual([]);
  await store.close();
  await holder.close();
});

test('what a killed run left in the temporary folder is removed', async () => {
  const left = join(await realpath(tmpdir()), 'jobfleet-memory-4194304-0a1b2c3d');
  await mkdir(left);
  await sweepMemory();
  expect(existsSync(left)).toBe(false);
});
