import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { createKey, revokeKey, setTenant, showTenant } from './tenants.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

/** What a command printed. */
async function said(run: (flags: { url: string; key: string }) => Promise<void>): Promise<string> {
  const lines: string[] = [];
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => lines.push(String(text)) > 0);
  try {
    await run({ url: api.url, key: api.key });
  } finally {
    write.mockRestore();
  }
  return lines.join('').trim();
}

it('changes what is named of a tenant, and leaves the rest', async () => {
  await said((flags) => setTenant('acme', { ...flags, weight: '4', concurrency: '20' }));
  expect(await said((flags) => setTenant('acme', { ...flags, tier: 'premium' }))).toBe(
    'acme  weight 4, premium, concurrency 20',
  );
  await said((flags) => setTenant('acme', { ...flags, concurrency: 'default' }));
  expect(await said((flags) => showTenant('acme', flags))).toBe(
    'acme  weight 4, premium, concurrency as each type says',
  );
  await expect(said((flags) => setTenant('acme', { ...flags, weight: 'much' }))).rejects.toThrow('--weight');
});

it('makes a key, prints it alone, and revokes it', async () => {
  const key = await said((flags) => createKey({ ...flags, tenant: 'acme', scopes: 'jobs, scaling' }));
  expect(key).toMatch(/^jf_live_\w+$/);
  const use = () => api.call('GET', '/v1/jobs', undefined, { authorization: `Bearer ${key}` });
  expect((await use()).status).toBe(200);
  const id = key.split('_')[2] ?? '';
  expect(await said((flags) => revokeKey(id, flags))).toContain('is no key any more');
  expect((await use()).status).toBe(401);
});
