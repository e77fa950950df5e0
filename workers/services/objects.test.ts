import { execFileSync } from 'node:child_process';
import { link, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ObjectStore } from '../../runtime/object-store.ts';
import { openFolderStore } from '../../runtime/object-store-folder.ts';
import { type AttemptObjects, createObjects } from './objects.ts';

let root: string;
let folder: string;
let store: ObjectStore;
let objects: AttemptObjects;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'jobfleet-objects-'));
  folder = join(root, 'attempt');
  await mkdir(folder, { mode: 0o700 });
  store = await openFolderStore(join(root, 'store'));
  objects = createObjects(
    {
      objects: store,
      bucket: async (name) => (name === 'allowed' ? store : undefined),
      fetchUrl: async (url) => ({ body: Readable.from([Buffer.from(url)]) }),
    },
    { tenant: 'acme', folder: () => folder, signal: () => new AbortController().signal },
  );
});
afterEach(async () => {
  await store.close();
  await rm(root, { recursive: true, force: true });
});

const put = (path: string) => objects.put('out.bin', path, 'text/plain');
const forbidden = { code: 'FORBIDDEN_TARGET', verdict: { kind: 'dead' } };

describe('an output', () => {
  it('is stored under the tenant’s prefix, named by an absolute or a relative path', async () => {
    await writeFile(join(folder, 'a'), 'abc');
    expect(await put(join(folder, 'a'))).toEqual({ object: 'object:t/acme/out.bin', sizeBytes: 3 });
    expect(await put('a')).toEqual({ object: 'object:t/acme/out.bin', sizeBytes: 3 });
    expect(await objects.head('out.bin')).toEqual({ object: 'object:t/acme/out.bin', sizeBytes: 3 });
    expect(await objects.head('other.bin')).toBeUndefined();
  });

  it('is refused when it is no regular file of the folder', async () => {
    await writeFile(join(root, 'secret'), 'secret');
    await symlink(join(root, 'secret'), join(folder, 'link'));
    await symlink(root, join(folder, 'up'));
    await link(join(root, 'secret'), join(folder, 'hard'));
    await mkdir(join(folder, 'dir'));
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    for (const path of ['link', 'up/secret', 'hard', 'dir', 'pipe', '../secret', join(root, 'secret'), '/etc/passwd'])
      await expect(put(path), path).rejects.toMatchObject(forbidden);
  });

  it('is refused under a key that leaves the prefix', async () => {
    await writeFile(join(folder, 'a'), 'abc');
    for (const key of ['../other/a', '/a', 'a//b', '', '.', 'a/../../b'])
      await expect(objects.put(key, 'a', 'text/plain'), key).rejects.toMatchObject(forbidden);
  });
});

describe('an input', () => {
  it('lands in the folder under a name of ours, with its size and digest', async () => {
    await store.put('t/acme/a.bin', Buffer.from('abc'), { contentType: 'text/plain' });
    const input = await objects.fetch('object:t/acme/a.bin', { maxBytes: 3 });
    expect(input).toEqual({
      path: join(folder, 'input-1'),
      sizeBytes: 3,
      sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    });
    expect((await objects.fetch('s3://allowed/t/acme/a.bin', { maxBytes: 3 })).path).toBe(join(folder, 'input-2'));
    const page = await objects.fetch('https://example.com/x', { maxBytes: 99 });
    expect(await readFile(page.path, 'utf8')).toBe('https://example.com/x');
  });

  it('never follows what the handler has put in its place', async () => {
    await writeFile(join(root, 'victim'), 'mine');
    await symlink(join(root, 'victim'), join(folder, 'input-1'));
    await store.put('t/acme/a.bin', Buffer.from('abc'), { contentType: 'text/plain' });
    await expect(objects.fetch('object:t/acme/a.bin', { maxBytes: 3 })).rejects.toMatchObject(forbidden);
    expect(await readFile(join(root, 'victim'), 'utf8')).toBe('mine');
  });

  it.each([
    ['object:t/other/a.bin', 'FORBIDDEN_TARGET'],
    ['object:t/acme/../other/a.bin', 'FORBIDDEN_TARGET'],
    ['object:apikey/1', 'FORBIDDEN_TARGET'],
    ['s3://foreign/a.bin', 'FORBIDDEN_TARGET'],
    ['file:///etc/passwd', 'FORBIDDEN_TARGET'],
    ['http://example.com/a', 'FORBIDDEN_TARGET'],
    ['object:t/acme/absent', 'BAD_SOURCE'],
  ])('%s is refused as %s', async (input, code) => {
    await expect(objects.fetch(input, { maxBytes: 10 })).rejects.toMatchObject({ code, verdict: { kind: 'dead' } });
  });

  it('over the limit is refused, also where its size is only known at the end', async () => {
    await store.put('t/acme/a.bin', Buffer.from('abcd'), { contentType: 'text/plain' });
    const tooLarge = { code: 'LIMIT_EXCEEDED' };
    await expect(objects.fetch('object:t/acme/a.bin', { maxBytes: 3 })).rejects.toMatchObject(tooLarge);
    await expect(objects.fetch('https://example.com/x', { maxBytes: 3 })).rejects.toMatchObject(tooLarge);
  });
});
