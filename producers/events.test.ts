/** `GET /v1/jobs/{id}/events` over real HTTP. */
import { once } from 'node:events';
import { type ClientRequest, get, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import emailSending from '../jobs/email-sending/job.ts';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { createKeys } from './keys.ts';

let api: TestApi;
const mail = { to: 'ada@example.com', template: 'welcome' } as const;
const opened: ClientRequest[] = [];

beforeAll(async () => {
  api = await openTestApi({ env: { EVENT_STREAMS: '3' } });
});
afterEach(() => {
  for (const one of opened.splice(0)) one.destroy();
});
afterAll(() => api.close());

/** Over `node:http`: after an aborted `fetch` its pool holds a connection open that the server has to wait for. */
async function open(id: string, headers: Record<string, string> = {}, { url, key } = api) {
  const request = get(`${url}/v1/jobs/${id}/events`, {
    agent: false,
    headers: { authorization: `Bearer ${key}`, ...headers },
  });
  opened.push(request);
  const [response]: IncomingMessage[] = await once(request, 'response');
  if (response === undefined) throw new Error('no response');
  let text = '';
  response.on('data', (chunk) => {
    text += String(chunk);
  });
  const ended = new Promise((resolve) => response.once('close', resolve));
  // What is cut off is cut off by the test.
  response.on('error', () => undefined);
  request.on('error', () => undefined);
  const events = () =>
    text.split('\n\n').flatMap((block) => {
      const [, event] = /^event: (.*)$/m.exec(block) ?? [];
      const [, eventId] = /^id: (.*)$/m.exec(block) ?? [];
      const [, data = ''] = /^data: (.*)$/m.exec(block) ?? [];
      return event === undefined ? [] : [{ event, id: eventId, data: JSON.parse(data) }];
    });
  const sees = (check: () => void) => vi.waitFor(check, { timeout: 15_000, interval: 10 });
  const { statusCode: status, headers: answered } = response;
  return { status, headers: answered, events, sees, ended, text: () => text, abort: () => request.destroy() };
}

it('begins with how the job stands, goes on with what changes, and ends after the outcome', async () => {
  const { id } = await api.client.enqueue(emailSending, mail, { delayMs: 3_600_000 });
  const stream = await open(id);
  expect(stream.status).toBe(200);
  const { headers } = stream;
  expect(headers['content-type']).toBe('text/event-stream; charset=utf-8');
  expect([headers['x-accel-buffering'], headers['cache-control']]).toEqual(['no', 'no-store']);
  expect(headers['x-content-type-options']).toBe('nosniff');
  await stream.sees(() => expect(stream.events()).toHaveLength(1));
  expect(stream.text()).toMatch(/^retry: 2000\n\n/);
  expect(stream.events()[0]).toMatchObject({ event: 'state', data: { id, status: 'delayed', attempt: 0 } });
  await api.call('DELETE', `/v1/jobs/${id}`);
  await stream.ended;
  const last = stream.events().at(-1);
  expect(last).toMatchObject({
    event: 'outcome',
    data: { status: 'cancelled', result: null, links: { self: `/v1/jobs/${id}` } },
  });
  const again = await open(id, { 'last-event-id': String(last?.id) });
  expect(again.status).toBe(204);
  const late = await open(id, { 'last-event-id': String(stream.events()[0]?.id) });
  await late.ended;
  expect(late.events()).toEqual([last]);
});

it('is closed to other tenants, and says nothing of what is not there', async () => {
  const { id } = await api.client.enqueue(emailSending, mail, { delayMs: 3_600_000, tenant: 'acme' });
  const keys = createKeys({ records: api.backend.records });
  const { key: foreign } = await keys.create({ tenant: 'other', scopes: ['jobs'] });
  const { key: own } = await keys.create({ tenant: 'acme', scopes: ['jobs'] });
  expect((await open(id, { authorization: `Bearer ${foreign}` })).status).toBe(404);
  expect((await open('email-sending_01J00000000000000000000000')).status).toBe(404);
  expect((await open(id, { authorization: 'Bearer nobody-knows-this-key' })).status).toBe(401);
  expect((await open(id, { authorization: `Bearer ${own}` })).status).toBe(200);
});

it('lets a key have so many open, and more when they have gone', async () => {
  const { id } = await api.client.enqueue(emailSending, mail, { delayMs: 3_600_000 });
  const three = [await open(id), await open(id), await open(id)];
  expect(three.map(({ status }) => status)).toEqual([200, 200, 200]);
  const refused = await open(id);
  expect([refused.status, refused.headers['retry-after']]).toEqual([429, '10']);
  three[0]?.abort();
  await vi.waitFor(async () => expect((await open(id)).status).toBe(200), { timeout: 10_000, interval: 50 });
});

it('ends with the server, also for a reader that reads nothing', async () => {
  const other = await openTestApi();
  const { id } = await other.client.enqueue(emailSending, mail, { delayMs: 3_600_000 });
  const stream = await open(id, {}, other);
  const deaf = connect(Number(new URL(other.url).port), '127.0.0.1').pause();
  deaf.on('error', () => deaf.destroy());
  deaf.write(`GET /v1/jobs/${id}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${other.key}\r\n\r\n`);
  await stream.sees(() => expect(stream.events()).toHaveLength(1));
  const startedAt = performance.now();
  await other.close();
  await stream.ended;
  expect(performance.now() - startedAt).toBeLessThan(10_000);
  deaf.destroy();
});
