import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadRegistry } from '../jobs/registry.ts';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { memoryRecords } from '../workers/testing-records.ts';
import { refuseUnavailable } from './type-availability.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api?.close());

const reason = 'MONGODB_URL is missing: documents are kept by MongoDB when the queue is on Redis.';
const payload = { collection: 'people', columns: [{ field: 'name' }], format: 'csv' };
const mail = { type: 'email-sending', payload: { to: 'ada@example.com', template: 'welcome' } };

test('a type that no worker can run is refused with its reason, alone, by alias and in a batch; others are taken', async () => {
  await api.backend.records.putIfAbsent('type-missing:data-export', JSON.stringify({ reason }), 60_000);
  const refused = { status: 503, json: { code: 'TYPE_UNAVAILABLE', detail: expect.stringContaining(reason) } };
  const answer = await api.call('POST', '/v1/jobs', { type: 'data_export', payload });
  expect(answer).toMatchObject(refused);
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  const batch = { items: [mail, { type: 'data-export', payload }] };
  expect(await api.call('POST', '/v1/jobs/batch', batch)).toMatchObject(refused);
  expect((await api.call('POST', '/v1/jobs', mail)).status).toBe(202);
  expect(await api.backend.queue('data-export').getJobCounts('waiting', 'prioritized')).toEqual({
    waiting: 0,
    prioritized: 0,
  });
});

test('of a type only the part that no worker can do is refused, and only for payloads that need it', async () => {
  const { records } = api.backend;
  const type = 'notification-sending';
  const why = 'text messages cannot be sent here: set TWILIO_FROM';
  await records.putIfAbsent(`type-missing:${type}/sms`, JSON.stringify({ reason: why }), 60_000);
  await records.putIfAbsent(`type-missing:${type}/in-app`, JSON.stringify({ reason }), 60_000);
  await records.putIfAbsent(`type-missing:${type}/webhook`, JSON.stringify({ reason: 'not here' }), 60_000);
  await records.putIfAbsent(`type-ok:${type}/webhook`, '{}', 60_000);
  const fresh = await openTestApi({ backend: api.backend });
  const user = { userId: 'u', title: 't', body: 'b' };
  const sms = { channel: 'sms', ...user, to: '+919812345678' };
  const webhook = { channel: 'webhook', userId: 'u', to: 'https://hooks.example.com/in' };
  const add = (payload: unknown) => fresh.call('POST', '/v1/jobs', { type: 'notification_sending', payload });
  const refused = (detail: string) => ({
    status: 503,
    json: { code: 'TYPE_UNAVAILABLE', detail: expect.stringContaining(detail) },
  });
  expect(await add(sms)).toMatchObject(refused(why));
  expect(await add({ channel: 'in-app', ...user })).toMatchObject(refused(reason));
  expect((await add(webhook)).status).toBe(202);
  // What is wrong with a payload is told first.
  expect((await add({ ...sms, to: 'nobody' })).status).toBe(400);
  const batch = {
    items: [
      { type, payload: webhook },
      { type, payload: sms },
    ],
  };
  expect(await fresh.call('POST', '/v1/jobs/batch', batch)).toMatchObject(refused(why));
  await fresh.close();
});

test('the first worker that can run it opens it again, 5 s later at the latest', async () => {
  const records = memoryRecords();
  let now = 0;
  const refuse = refuseUnavailable({ records }, await loadRegistry(), () => now);
  const add = { type: 'data-export', payload };
  await refuse(add);
  await records.putIfAbsent('type-missing:data-export', JSON.stringify({ reason }), 60_000);
  now = 4_999;
  await refuse(add);
  now = 5_000;
  await expect(refuse(add)).rejects.toMatchObject({ code: 'TYPE_UNAVAILABLE' });
  await records.putIfAbsent('type-ok:data-export', '{}', 60_000);
  now = 10_000;
  await refuse(add);
});
