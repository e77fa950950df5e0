import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTestApi, type TestApi } from '../tests/support/api.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

const idsOf = (json: Record<string, unknown>): unknown[] =>
  Array.isArray(json['items']) ? json['items'].map((item: { id: string }) => item.id) : [];

test('GET /v1/jobs finds by tenant, text and time, and says so when nothing was left out', async () => {
  const add = (to: string, tenant: string) =>
    api.client.enqueueNamed('email-sending', { to, template: 'welcome' }, { tenant });
  const ada = await add('ada@example.com', 'acme');
  const bob = await add('bob@example.com', 'acme');
  const eve = await add('eve@example.com', 'other');
  const find = (query: string) => api.call('GET', `/v1/jobs?${query}`);
  const acme = await find('tenant=acme');
  expect(idsOf(acme.json)).toEqual([bob.id, ada.id]);
  expect(acme.json).toMatchObject({ cursor: null, complete: true });
  expect(idsOf((await find('text=EVE%40example')).json)).toEqual([eve.id]);
  expect(idsOf((await find(`text=${ada.id}&status=waiting`)).json)).toEqual([ada.id]);
  expect(idsOf((await find(`to=${encodeURIComponent(new Date(0).toISOString())}`)).json)).toEqual([]);
  const first = await find('tenant=acme&limit=1');
  expect(idsOf(first.json)).toEqual([bob.id]);
  const second = await find(`tenant=acme&limit=1&cursor=${String(first.json['cursor'])}`);
  expect(idsOf(second.json)).toEqual([ada.id]);
});

test('GET /v1/jobs names every value it does not understand', async () => {
  for (const query of ['tenant=A!', 'text=x', 'code=', 'from=yesterday', 'to=1', 'cursor=0.%21', 'status=odd']) {
    const answer = await api.call('GET', `/v1/jobs?${query}`);
    expect(answer, query).toMatchObject({ status: 400, json: { code: 'INVALID' } });
  }
});
