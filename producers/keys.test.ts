import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Backend } from '../backends/backend.ts';
import { openBackend } from '../backends/open.ts';
import { createKeys, mintKey } from './keys.ts';

let backend: Backend;
const failures: Error[] = [];
beforeAll(async () => {
  backend = await openBackend('embedded:memory', { onError: (error) => void failures.push(error) });
});
afterAll(() => backend.close());

test('a made key is found with its tenant and scopes; its record holds only the hash', async () => {
  const keys = createKeys({ records: backend.records });
  const { id, key } = await keys.create({ tenant: 'acme', scopes: ['jobs'] });
  expect(key).toMatch(/^jf_live_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}$/);
  expect(await keys.find(key)).toEqual({ keyId: id, tenant: 'acme', scopes: ['jobs'] });
  const [record] = await backend.records.get([`apikey:${id}`]);
  expect(record?.value).not.toContain(key.slice(21));
});

test('every single changed character makes it no key', async () => {
  const keys = createKeys({ records: backend.records });
  const { key } = await keys.create({ tenant: 'acme', scopes: ['jobs'] });
  for (let at = 0; at < key.length; at += 1) {
    const changed = key.slice(0, at) + (key[at] === 'a' ? 'b' : 'a') + key.slice(at + 1);
    expect(await keys.find(changed)).toBeUndefined();
  }
});

test('a key of the right form that was never stored is none', async () => {
  expect(await createKeys({ records: backend.records }).find(mintKey().key)).toBeUndefined();
});

test('a key ends when it expires, and when it is revoked', async () => {
  let now = 1_000;
  const keys = createKeys({ records: backend.records, now: () => now });
  const short = await keys.create({ tenant: '-', scopes: ['jobs'], expiresAt: 2_000 });
  const other = await keys.create({ tenant: '-', scopes: ['jobs'] });
  expect(await keys.find(short.key)).toBeDefined();
  now = 2_000;
  expect(await keys.find(short.key)).toBeUndefined();
  expect(await keys.find(other.key)).toBeDefined();
  expect(await keys.revoke(other.id)).toBe(true);
  expect(await keys.find(other.key)).toBeUndefined();
  expect(await keys.revoke(other.id)).toBe(false);
});

test('another process notices a revoked key within five seconds', async () => {
  let now = 0;
  const here = createKeys({ records: backend.records });
  const there = createKeys({ records: backend.records, now: () => now });
  const { id, key } = await here.create({ tenant: '-', scopes: ['jobs'] });
  expect(await there.find(key)).toBeDefined();
  await here.revoke(id);
  now = 5_001;
  expect(await there.find(key)).toBeUndefined();
});

test('JOBFLEET_KEY is obeyed as it is, with every scope', async () => {
  const keys = createKeys({ records: backend.records, staticKey: 'any string of more than 32 characters!' });
  expect(await keys.find('any string of more than 32 characters!')).toMatchObject({ tenant: '-', keyId: 'static' });
  expect(await keys.find('any string of more than 32 characters')).toBeUndefined();
});
