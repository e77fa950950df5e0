import { mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ConfigurationError } from './env.ts';
import { objectStoreSuite } from './object-store.suite.ts';
import { openObjectStore } from './open-object-store.ts';

const made: string[] = [];

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-objects-'));
  made.push(folder);
  return folder;
}

afterAll(async () => {
  for (const folder of made) await rm(folder, { recursive: true });
});

objectStoreSuite(
  'a folder',
  async () => openObjectStore('file:objects', { baseDir: await newFolder() }),
  async () => {
    const root = await newFolder();
    const store = await openObjectStore(`file:${root}`, { baseDir: '/' });
    // Closing it to ourselves would not stop root.
    await rm(join(root, 'partial'), { recursive: true });
    return store;
  },
);

test('keeps folders 0700 and files 0600, and leaves nothing behind in partial/', async () => {
  const root = await newFolder();
  const store = await openObjectStore(`file://${root}/objects`, { baseDir: '/' });
  await store.put('t/-/a/b', Buffer.from('x'), { contentType: 'text/plain' });
  const mode = async (path: string): Promise<string> =>
    ((await stat(join(root, 'objects', path))).mode & 0o777).toString(8);
  expect([await mode(''), await mode('objects/t/-'), await mode('objects/t/-/a/b')]).toEqual(['700', '700', '600']);
  expect(await readdir(join(root, 'objects/partial'))).toEqual([]);
});

test('does not follow a link or open a folder in place of an object', async () => {
  const root = await newFolder();
  await writeFile(join(root, 'secret'), 'secret');
  const store = await openObjectStore(`file:${root}`, { baseDir: '/' });
  await store.put('t/-/folder/x', Buffer.from('x'), { contentType: 'text/plain' });
  await symlink(join(root, 'secret'), join(root, 'objects/t/-/link'));
  expect(await store.get('t/-/link')).toBeUndefined();
  expect(await store.get('t/-/folder')).toBeUndefined();
});

test('removes partial files of dead writers at the next start, and only those', async () => {
  const root = await newFolder();
  await openObjectStore(`file:${root}`, { baseDir: '/' });
  await writeFile(join(root, 'partial/old'), 'x');
  await writeFile(join(root, 'partial/fresh'), 'x');
  await utimes(join(root, 'partial/old'), 1, 1);
  await openObjectStore(`file:${root}`, { baseDir: '/' });
  expect(await readdir(join(root, 'partial'))).toEqual(['fresh']);
});

test('says what a storage address must look like', async () => {
  for (const url of ['', 'objects', 'file:', 'http://x', 's3://', 's3:bucket']) {
    await expect(openObjectStore(url, { baseDir: '/' })).rejects.toThrow(ConfigurationError);
  }
});

test('names folder and cause when the folder cannot be written', async () => {
  const root = await newFolder();
  const store = await openObjectStore(`file:${root}`, { baseDir: '/' });
  await rm(join(root, 'partial'), { recursive: true });
  await expect(store.ping()).rejects.toThrow(/The object folder .+ cannot be written .+ENOENT/);
});
