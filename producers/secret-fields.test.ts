/** Secret fields over HTTP. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadRegistry } from '../jobs/registry.ts';
import { createSecretBox } from '../runtime/secret-box.ts';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { findAvailable } from '../workers/availability.ts';

const registry = await loadRegistry(new URL('../tests/support/secret-jobs/', import.meta.url));
const job = { type: 'vaulted', payload: { token: 'planted-over-http' } };
let api: TestApi;
let withoutKey: TestApi;

beforeAll(async () => {
  const secrets = createSecretBox([{ id: 'a', key: 'a'.repeat(32) }]);
  [api, withoutKey] = await Promise.all([openTestApi({ registry, secrets }), openTestApi({ registry })]);
});
afterAll(async () => {
  await api?.close();
  await withoutKey?.close();
});

it('are taken, and said to be write-only', async () => {
  const { status, json } = await api.call('POST', '/v1/jobs', job);
  expect(status).toBe(202);
  const stored = await api.backend.queue('vaulted').getJob(String(json['id']));
  expect(stored?.data.token).toEqual({ $enc: expect.any(String) });
  const { text } = await api.call('GET', '/openapi.json');
  expect(text).toContain('"writeOnly":true');
  expect((await api.call('GET', '/v1/jobs?text=planted')).json['items']).toEqual([]);
  const { status: edited } = await api.call('PATCH', `/v1/jobs/${String(json['id'])}`, { patch: { accounts: [] } });
  expect(edited).toBe(200);
});

it('are refused with a code by a server without a key, one by one and in a batch, and nothing is stored', async () => {
  for (const [path, body] of [
    ['/v1/jobs', job],
    ['/v1/jobs/batch', { items: [job] }],
  ] as const) {
    const { status, json } = await withoutKey.call('POST', path, body, { 'idempotency-key': `of ${path}` });
    expect({ status, code: json['code'] }).toEqual({ status: 503, code: 'KEY_MISSING' });
    expect(json['detail']).toContain('set ENCRYPTION_KEY');
  }
  expect(await withoutKey.backend.queue('vaulted').getJobCountByTypes('waiting')).toBe(0);
});

it('that do not fit once they are encrypted are refused as too large', async () => {
  const { status, json } = await api.call('POST', '/v1/jobs', {
    type: 'vaulted',
    payload: { token: 'x'.repeat(220_000) },
  });
  expect({ status, code: json['code'] }).toEqual({ status: 413, code: 'TOO_LARGE' });
});

it('make a type unavailable in a worker without a key', async () => {
  const { unavailable } = await findAvailable(registry, undefined, {});
  expect(unavailable.get('vaulted')).toContain('set ENCRYPTION_KEY');
});
