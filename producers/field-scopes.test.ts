import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTestApi, type TestApi } from '../tests/support/api.ts';

let api: TestApi;
let jobsOnly: Record<string, string>;
let mayUnmask: Record<string, string>;

const asKey = async (scopes: readonly string[]): Promise<Record<string, string>> => {
  const { json } = await api.call('POST', '/v1/keys', { tenant: 'acme', scopes });
  return { authorization: `Bearer ${String(json['key'])}` };
};

beforeAll(async () => {
  api = await openTestApi();
  jobsOnly = await asKey(['jobs']);
  mayUnmask = await asKey(['jobs', 'export:unmasked']);
});
afterAll(() => api?.close());

const payload = { collection: 'people', columns: [{ field: 'phone' }], format: 'csv' };
const type = 'data-export';
const unmasked = { ...payload, unmasked: true };

test('a key without the scope sets no field that wants it, one by one, by alias, in a batch or by an edit', async () => {
  const refused = { status: 403, json: { code: 'FORBIDDEN', detail: expect.stringContaining('"export:unmasked"') } };
  const add = (body: object, path = '/v1/jobs') => api.call('POST', path, body, jobsOnly);
  expect(await add({ type, payload: unmasked })).toMatchObject(refused);
  expect(await add({ type: 'data_export', payload: unmasked })).toMatchObject(refused);
  const mail = { type: 'email-sending', payload: { to: 'ada@example.com', template: 'welcome' } };
  expect(await add({ items: [mail, { type, payload: unmasked }] }, '/v1/jobs/batch')).toMatchObject(refused);
  const masked = await add({ type, payload, options: { delayMs: 3_600_000 } });
  expect(masked.status).toBe(202);
  const job = `/v1/jobs/${String(masked.json['id'])}`;
  expect(await api.call('PATCH', job, { payload: unmasked }, jobsOnly)).toMatchObject(refused);
  expect((await api.call('PATCH', job, { payload: unmasked }, mayUnmask)).status).toBe(200);
  expect((await add({ type, payload: { ...payload, unmasked: false } })).status).toBe(202);
  const stored = await api.backend.queue(type).getJobs(['waiting', 'delayed', 'prioritized']);
  expect(stored.map(({ data }) => (data as { unmasked?: boolean }).unmasked === true)).toEqual(
    expect.arrayContaining([true, false]),
  );
  expect(stored).toHaveLength(2);
});

test('a redrive that patches the field wants the scope too; keys with it may', async () => {
  const operator = await asKey(['jobs', 'operator']);
  const redrive = { filter: {}, dryRun: true, patch: { unmasked: true } };
  expect((await api.call('POST', '/v1/dead-letters/redrive', redrive, operator)).status).toBe(403);
  expect((await api.call('POST', '/v1/jobs', { type, payload: unmasked }, mayUnmask)).status).toBe(202);
  expect((await api.call('POST', '/v1/jobs', { type, payload: unmasked })).status).toBe(202);
});
