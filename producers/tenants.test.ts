import { afterAll, beforeAll, expect, it } from 'vitest';
import { openTestApi, type TestApi } from '../tests/support/api.ts';

let api: TestApi;
const job = { type: 'email-sending', payload: { to: 'ada@example.com', template: 'welcome' } };
beforeAll(async () => {
  api = await openTestApi({ env: { KEY_RATE_LIMIT: '1/60' } });
});
afterAll(() => api.close());

const as = (key: unknown) => ({ authorization: `Bearer ${String(key)}` });

it('a tenant is as usual until something is agreed, and then what was agreed', async () => {
  const path = '/v1/tenants/acme';
  const usual = { tenant: 'acme', weight: 1, tier: 'standard', limits: {}, changedAt: null, by: '-' };
  expect((await api.call('GET', path)).json).toEqual(usual);
  const agreed = { weight: 4, tier: 'premium', limits: { concurrency: 12 } };
  const changed = { tenant: 'acme', ...agreed, by: 'static', changedAt: expect.stringMatching(/^20.*Z$/) };
  expect((await api.call('PUT', path, agreed)).json).toEqual(changed);
  expect((await api.call('GET', path)).json).toEqual(changed);
  expect((await api.call('PUT', path, {})).json).toMatchObject({ weight: 1, tier: 'standard', limits: {} });
});

it.each([
  { weight: 0 },
  { weight: 1_001 },
  { tier: 'gold' },
  { limits: { concurrency: 0 } },
  { more: 1 },
  { weight: 'x' },
])('refuses %j', async (body) => {
  expect((await api.call('PUT', '/v1/tenants/acme', body)).status).toBe(400);
});

it('a key is made for a tenant, speaks for it, and is refused once it was revoked', async () => {
  await api.call('PUT', '/v1/tenants/big', { tier: 'premium' });
  const made = await api.call('POST', '/v1/keys', { tenant: 'big' });
  expect(made.status).toBe(201);
  expect(made.json).toEqual({
    id: expect.stringMatching(/^\w{12}$/),
    key: expect.stringMatching(/^jf_live_/),
    tenant: 'big',
    scopes: ['jobs'],
    tier: 'premium',
    expiresAt: null,
  });
  const { key, id } = made.json;
  const added = await api.call('POST', '/v1/jobs', job, as(key));
  expect([added.status, added.headers.get('x-ratelimit-limit')]).toEqual([202, '10']);
  expect((await api.client.status(String(added.json['id'])))?.tenant).toBe('big');
  expect((await api.call('GET', '/v1/tenants/big', undefined, as(key))).status).toBe(403);
  expect((await api.call('POST', '/v1/keys', {}, as(key))).status).toBe(403);
  expect((await api.call('DELETE', `/v1/keys/${String(id)}`)).status).toBe(204);
  expect((await api.call('POST', '/v1/jobs', job, as(key))).status).toBe(401);
  expect((await api.call('DELETE', `/v1/keys/${String(id)}`)).status).toBe(404);
});

it('a key may be of another tier, of several scopes, and for a while', async () => {
  const expiresAt = '2020-01-01T00:00:00Z';
  const { json } = await api.call('POST', '/v1/keys', {
    tenant: 'big',
    tier: 'standard',
    scopes: ['jobs', 'operator'],
    expiresAt,
  });
  expect(json).toMatchObject({ tier: 'standard', scopes: ['jobs', 'operator'], expiresAt });
  expect((await api.call('GET', '/v1/jobs', undefined, as(json['key']))).status).toBe(401);
  for (const body of [
    { scopes: [] },
    { scopes: ['all'] },
    { scopes: ['jobs', 'jobs'] },
    { tenant: 'A' },
    { expiresAt: 'x' },
  ])
    expect((await api.call('POST', '/v1/keys', body)).status).toBe(400);
});
