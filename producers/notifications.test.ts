import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import handler from '../jobs/notification-sending/handler.ts';
import notificationSending from '../jobs/notification-sending/job.ts';
import { memoryDocuments } from '../runtime/documents-memory.ts';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { answer, madeUpSecret, openReceiver } from '../tests/support/receivers.ts';
import { runJob } from '../workers/testing.ts';
import { createKeys } from './keys.ts';

const documents = memoryDocuments(notificationSending.collections);
const headers: Record<string, Record<string, string>> = {};
let api: TestApi;
beforeAll(async () => {
  api = await openTestApi({ documents });
  const keys = createKeys({ records: api.backend.records, staticKey: undefined });
  for (const tenant of ['acme', 'other']) {
    const { key } = await keys.create({ tenant, scopes: ['jobs'] });
    headers[tenant] = { authorization: `Bearer ${key}` };
  }
});
afterAll(async () => {
  await api.close();
  await documents.close();
});

const call = (tenant: string, method: string, path: string, body?: unknown) =>
  api.call(method, path, body, headers[tenant]);
const list = async (tenant: string, query: string) => {
  const { json, status } = await call(tenant, 'GET', `/v1/notifications?${query}`);
  expect(status).toBe(200);
  return json as { items: { id: string; at: string; readAt: string | null }[]; cursor: string | null };
};

async function keep(userId: string, count: number, tenant = 'acme'): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 1; n <= count; n += 1) {
    const id = `note_${tenant}_${userId}_${n}`;
    const payload = { channel: 'in-app', userId, title: `Note ${n}`, body: 'b' };
    await using run = await runJob(handler, payload, { tenant, documents, id });
    expect(run.outcome).toEqual({ state: 'done' });
    ids.push(id);
  }
  return ids;
}

describe('notes in the app', () => {
  test('are listed page by page, each once, the newest first, for their user and tenant alone', async () => {
    const ids = await keep('ada', 5);
    await keep('bob', 1);
    await keep('ada', 1, 'other');
    const seen: string[] = [];
    const times: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page = await list(
        'acme',
        `userId=ada&limit=2${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
      );
      seen.push(...page.items.map(({ id }) => id));
      times.push(...page.items.map(({ at }) => at));
      cursor = page.cursor;
    }
    expect(seen.toSorted()).toEqual(ids.toSorted());
    expect(seen).toHaveLength(5);
    expect(times).toEqual(times.toSorted().toReversed());
    expect((await list('other', 'userId=ada')).items).toHaveLength(1);
    expect((await list('acme', 'userId=nobody')).items).toEqual([]);
  });

  test('are marked as read once, by many at the same time, and only for their user', async () => {
    const [first = '', second = ''] = await keep('eve', 2);
    const mark = (userId: string, ids: string[], tenant = 'acme') =>
      call(tenant, 'POST', '/v1/notifications/read', { userId, ids });
    expect((await mark('bob', [first])).json).toEqual({ read: [] });
    expect((await mark('eve', [first], 'other')).json).toEqual({ read: [] });
    const answers = await Promise.all(Array.from({ length: 10 }, () => mark('eve', [first, first, 'nothing'])));
    for (const { json } of answers) expect(json).toEqual({ read: [first] });
    const all = await list('acme', 'userId=eve');
    const readAt = all.items.find(({ id }) => id === first)?.readAt;
    expect(readAt).toMatch(/^\d{4}-/);
    expect((await list('acme', 'userId=eve&unread=true')).items.map(({ id }) => id)).toEqual([second]);
    await mark('eve', [first]);
    expect((await list('acme', 'userId=eve')).items.find(({ id }) => id === first)?.readAt).toBe(readAt);
  });

  test('stay read when their job runs again', async () => {
    const [id = ''] = await keep('ian', 1);
    await call('acme', 'POST', '/v1/notifications/read', { userId: 'ian', ids: [id] });
    await keep('ian', 1);
    expect((await list('acme', 'userId=ian&unread=true')).items).toEqual([]);
  });

  test.each([
    '',
    'userId=',
    'userId=a%0Ab',
    'userId=ada&limit=0',
    'userId=ada&limit=101',
    'userId=ada&cursor=x',
    'userId=ada&unread=yes',
    'userId=ada&x=1',
  ])('are not listed for a query that is none: %s', async (query) => {
    const { status, json } = await call('acme', 'GET', `/v1/notifications?${query}`);
    expect([status, json['code']]).toEqual([400, 'INVALID']);
  });
});

describe('a recipient that is no more', () => {
  test('is not asked again until somebody says so; other tenants are not concerned', async () => {
    const receiver = await openReceiver(answer(410));
    const env = { WEBHOOK_SECRETS: `*=${madeUpSecret('x')}` };
    const http = { allow: [receiver.host] };
    const send = async (id: string, tenant = 'acme') => {
      const payload = { channel: 'webhook', userId: 'ada', to: `${receiver.url}/in` };
      await using run = await runJob(handler, payload, { tenant, documents, id, env, http });
      return run.result;
    };
    expect(await send('w1')).toEqual({ status: 'gone', providerId: null });
    expect(await send('w2')).toEqual({ status: 'gone', providerId: null });
    expect(receiver.received).toHaveLength(1);
    const { json } = await call('acme', 'GET', '/v1/notifications/gone');
    expect(json).toMatchObject({ items: [{ channel: 'webhook', userId: 'ada' }], cursor: null });
    expect(JSON.stringify(json)).not.toContain(receiver.host);
    const [{ id }] = json['items'] as [{ id: string }];
    expect((await call('other', 'DELETE', `/v1/notifications/gone/${id}`)).status).toBe(404);
    expect((await call('acme', 'DELETE', `/v1/notifications/gone/${id}`)).status).toBe(204);
    expect((await call('acme', 'DELETE', `/v1/notifications/gone/${id}`)).status).toBe(404);
    receiver.respond(answer(200));
    expect(await send('w3')).toEqual({ status: 'sent', providerId: 'w3' });
    await receiver.close();
  });
});

test('without a store for documents the routes say what is missing', async () => {
  const bare = await openTestApi();
  const { status, json } = await bare.call('GET', '/v1/notifications?userId=ada');
  expect([status, json['code']]).toEqual([503, 'UNAVAILABLE']);
  expect(json['detail']).toContain('MONGODB_URL');
  await bare.close();
});
