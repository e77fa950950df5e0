/** `POST /v1/flows`. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openTestApi, type TestApi } from '../tests/support/api.ts';

let api: TestApi;
const mail = { type: 'email_sending', payload: { to: 'ada@example.com', template: 'welcome' } };
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

it('stores a flow, shows its children, and answers a repeat with the same', async () => {
  const body = {
    ...mail,
    children: [mail, { ...mail, onFailure: 'ignore', children: [{ ...mail, options: { delayMs: 1_000 } }] }],
  };
  const key = { 'idempotency-key': 'one flow' };
  const { status, json, headers } = await api.call('POST', '/v1/flows', body, key);
  expect(status).toBe(202);
  expect(json).toMatchObject({
    duplicate: false,
    status: 'waiting-children',
    children: [{ children: [] }, { children: [{}] }],
  });
  expect(headers.get('location')).toBe(`/v1/jobs/${String(json['id'])}`);
  const shown = await api.call('GET', `/v1/jobs/${String(json['id'])}`);
  expect(shown.json).toMatchObject({ status: 'waiting-children', children: 2, parent: null });
  expect(shown.json['childJobs']).toHaveLength(2);
  expect(shown.json['childJobs']).toContainEqual(
    expect.objectContaining({ type: 'email-sending', status: 'open', error: null }),
  );
  expect((await api.call('POST', '/v1/flows', body, key)).json).toEqual({ ...json, duplicate: true });
});

it.each([
  ['no children', mail],
  ['a child of an unknown type', { ...mail, children: [{ type: 'x', payload: {} }] }],
  ['a payload that does not fit', { ...mail, children: [mail, { ...mail, payload: {} }] }],
  [
    'a fifth level',
    {
      ...mail,
      children: [
        { ...mail, children: [{ ...mail, children: [{ ...mail, children: [{ ...mail, children: [mail] }] }] }] },
      ],
    },
  ],
  ['an unknown word', { ...mail, children: [{ ...mail, onFailure: 'cry' }] }],
])('refuses %s, and stores nothing', async (_title, body) => {
  const before = await api.backend.queue('email-sending').count();
  expect((await api.call('POST', '/v1/flows', body)).status).toBe(400);
  expect(await api.backend.queue('email-sending').count()).toBe(before);
});
