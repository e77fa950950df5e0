import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert, property, string } from 'fast-check';
import { expect, test } from 'vitest';
import { createSignedLinks, localSigningKey } from './signed-links.ts';

const key = 's'.repeat(32);
const links = createSignedLinks(key, () => 1_000_000);
const parts = (link: string): [string, string] => {
  const [, token = '', path = ''] = /^\/v1\/objects\/([^/]+)\/(.*)$/.exec(link) ?? [];
  return [token, path];
};

test('a link opens its object and nothing beside it', () => {
  const [token, path] = parts(links.read('t/-/v/abc/poster.jpg', 60_000));
  expect(path).toBe('poster.jpg');
  expect(links.readable(token, path)).toBe('t/-/v/abc/poster.jpg');
  for (const other of ['poster.jpg2', 'other.jpg', '../abc/poster.jpg', 'x/poster.jpg', '', 'poster.jp']) {
    expect(links.readable(token, other)).toBeUndefined();
  }
});

test("a playlist's link opens what lies beside and below it, so that relative addresses resolve", () => {
  const [token] = parts(links.read('t/-/v/abc/master.m3u8', 60_000));
  for (const path of ['master.m3u8', '720p/index.m3u8', '720p/seg_00001.m4s']) {
    expect(links.readable(token, path)).toBe(`t/-/v/abc/${path}`);
  }
  for (const path of [
    '../other/master.m3u8',
    '..',
    './master.m3u8',
    '/master.m3u8',
    '720p//x',
    '720p/../../x',
    '%2e%2e/x',
    'a\\b',
  ]) {
    expect(links.readable(token, path)).toBeUndefined();
  }
});

test('a link ends when it expires', () => {
  let now = 0;
  const clock = createSignedLinks(key, () => now);
  const [token, path] = parts(clock.read('t/-/a', 60_000));
  now = 59_999;
  expect(clock.readable(token, path)).toBe('t/-/a');
  now = 60_000;
  expect(clock.readable(token, path)).toBeUndefined();
});

test('nothing but a token of ours for that purpose opens anything', () => {
  const [token, path] = parts(links.read('t/-/a', 60_000));
  for (let at = 0; at < token.length; at += 1) {
    const changed = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
    // The last character of a base64url text may hold unused bits.
    if (at === token.length - 1) continue;
    expect(links.readable(changed, path)).toBeUndefined();
  }
  expect(createSignedLinks('t'.repeat(32), () => 1_000_000).readable(token, path)).toBeUndefined();
  const slot = links
    .write({ key: 't/-/a', contentType: 'image/png', sizeBytes: 5 }, 60_000)
    .slice('/v1/uploads/'.length);
  expect(links.writable(slot)).toEqual({ key: 't/-/a', contentType: 'image/png', sizeBytes: 5 });
  expect(links.readable(slot, path)).toBeUndefined();
  expect(links.writable(token)).toBeUndefined();
  assert(
    property(
      string(),
      string(),
      (any, other) => links.readable(any, other) === undefined && links.writable(any) === undefined,
    ),
  );
});

test('the key of a machine is made once and is private', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-key-'));
  try {
    const keys = await Promise.all(Array.from({ length: 8 }, () => localSigningKey(folder)));
    expect(new Set(keys).size).toBe(1);
    expect((await stat(join(folder, 'signing.key'))).mode & 0o777).toBe(0o600);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
