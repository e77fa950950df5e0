import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { madeUpSecret, standardSignature } from '../tests/support/receivers.ts';
import { apiEnv } from './env.ts';

const [fresh, old] = [madeUpSecret('f'), madeUpSecret('o')];
const hmacSecret = 'secret-of-the-bank';
const hooks = {
  shop: { scheme: 'standard', secrets: [fresh, old], type: 'email_sending', tenant: 'acme', pick: 'data' },
  bank: {
    scheme: 'hmac',
    secrets: [hmacSecret],
    header: 'X-Hub-Signature-256',
    prefix: 'sha256=',
    type: 'email-sending',
    with: { template: 'welcome' },
  },
  timed: {
    scheme: 'hmac',
    secrets: [hmacSecret],
    header: 'x-signature',
    encoding: 'base64',
    timestampHeader: 'x-time',
    id: 'event.id',
    pick: 'event.mail',
    type: 'email-sending',
  },
};

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi({ env: { HOOKS: JSON.stringify(hooks) } });
});
afterAll(() => api.close());

async function post(source: string, body: string, headers: Record<string, string>) {
  const answer = await fetch(`${api.url}/v1/hooks/${source}`, { method: 'POST', body, headers });
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
}

const seconds = (offBy = 0): string => String(Math.floor(Date.now() / 1_000) + offBy);
const mail = { to: 'ada@example.com', template: 'welcome', variables: {} };
const shopBody = JSON.stringify({ type: 'user.made', timestamp: '2026-11-21T00:00:00Z', data: mail });

function signed(id: string, body = shopBody, secret = fresh, time = seconds()): Record<string, string> {
  return {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': time,
    'webhook-signature': standardSignature(secret, id, time, body),
  };
}

const hmac = (text: string, encoding: 'base64' | 'hex' = 'hex') =>
  createHmac('sha256', hmacSecret).update(text).digest(encoding);

describe('a webhook of the standard', () => {
  test('becomes a job of its tenant, and the same one again is the same job', async () => {
    const first = await post('shop', shopBody, signed('msg_1'));
    expect(first).toMatchObject({ status: 202, json: { duplicate: false } });
    const id = String(first.json['id']);
    expect(await api.client.status(id, 'acme')).toMatchObject({ type: 'email-sending', status: 'waiting' });
    expect(await api.client.status(id, 'other')).toBeUndefined();
    expect(await post('shop', shopBody, signed('msg_1'))).toEqual({ status: 202, json: { id, duplicate: true } });
    const again = await Promise.all(Array.from({ length: 10 }, () => post('shop', shopBody, signed('msg_2'))));
    expect(new Set(again.map(({ json }) => json['id'])).size).toBe(1);
    expect(again.filter(({ json }) => json['duplicate'] === false)).toHaveLength(1);
  });

  test('may be signed by any of the secrets, while they are exchanged', async () => {
    expect((await post('shop', shopBody, signed('msg_3', shopBody, old))).status).toBe(202);
    const both = signed('msg_4');
    both['webhook-signature'] = `v1,AAAA v1a,xyz ${both['webhook-signature']}`;
    expect((await post('shop', shopBody, both)).status).toBe(202);
  });

  test.each([
    ['another secret', () => signed('msg_5', shopBody, madeUpSecret('x'))],
    ['another body', () => signed('msg_5', `${shopBody} `)],
    ['another id', () => ({ ...signed('msg_5'), 'webhook-id': 'msg_6' })],
    ['another time', () => ({ ...signed('msg_5'), 'webhook-timestamp': seconds(1) })],
    ['a time that is old', () => signed('msg_5', shopBody, fresh, seconds(-302))],
    ['a time to come', () => signed('msg_5', shopBody, fresh, seconds(310))],
    ['a time with more behind it', () => ({ ...signed('msg_5'), 'webhook-timestamp': `${seconds()}x` })],
    ['no signature', () => ({ ...signed('msg_5'), 'webhook-signature': '' })],
    ['a version nobody knows', () => ({ ...signed('msg_5'), 'webhook-signature': 'v9,AAAA' })],
    ['no headers', () => ({})],
    ['an id with a dot', () => signed('msg.5')],
  ])('with %s is refused', async (_name, headers) => {
    expect(await post('shop', shopBody, headers())).toMatchObject({ status: 401, json: { code: 'UNAUTHENTICATED' } });
  });

  test.each([
    ['no JSON', '{', 400, 'MALFORMED'],
    ['a duplicate key', '{"data":{},"data":{}}', 400, 'MALFORMED'],
    ['nothing where the payload should be', '{"other":{}}', 400, 'INVALID'],
    ['a list where the payload should be', '{"data":[]}', 400, 'INVALID'],
    ['a payload its job type refuses', '{"data":{"to":"nobody"}}', 400, 'INVALID'],
  ])('with %s is refused though its signature fits', async (_name, body, status, code) => {
    expect(await post('shop', body, signed('msg_7', body))).toMatchObject({ status, json: { code } });
  });

  test('with an id that came with another body is refused', async () => {
    await post('shop', shopBody, signed('msg_8'));
    const other = shopBody.replace('ada@', 'bob@');
    expect(await post('shop', other, signed('msg_8', other))).toMatchObject({
      status: 422,
      json: { code: 'IDEMPOTENCY_MISMATCH' },
    });
  });

  test('over 256 KiB is refused before it is read', async () => {
    const body = JSON.stringify({ data: { text: 'x'.repeat(300_000) } });
    expect((await post('shop', body, signed('msg_9', body))).status).toBe(413);
  });
});

describe('a webhook with an HMAC in a header', () => {
  const body = JSON.stringify({ to: 'ada@example.com' });

  test('becomes a job with the fixed fields, and its text names it', async () => {
    const headers = { 'x-hub-signature-256': `sha256=${hmac(body)}` };
    const first = await post('bank', body, headers);
    expect(first).toMatchObject({ status: 202, json: { duplicate: false } });
    expect((await post('bank', body, headers)).json).toEqual({ id: first.json['id'], duplicate: true });
  });

  test.each([
    ['another text', { 'x-hub-signature-256': `sha256=${hmac(`${body} `)}` }],
    ['no prefix', { 'x-hub-signature-256': hmac(body) }],
    ['half of it', { 'x-hub-signature-256': `sha256=${hmac(body).slice(0, 32)}` }],
    ['none', {}],
  ])('that has %s is refused', async (_name, headers) => {
    expect((await post('bank', body, headers)).status).toBe(401);
  });

  test('may sign its time, and name itself in its body', async () => {
    const text = JSON.stringify({ event: { id: 'e1', mail } });
    const at = seconds();
    const headers = { 'x-time': at, 'x-signature': hmac(`${at}.${text}`, 'base64') };
    expect((await post('timed', text, headers)).status).toBe(202);
    expect((await post('timed', text, { ...headers, 'x-time': seconds(1) })).status).toBe(401);
    const past = seconds(-400);
    const late = { 'x-time': past, 'x-signature': hmac(`${past}.${text}`, 'base64') };
    expect((await post('timed', text, late)).status).toBe(401);
  });
});

test.each(['nobody', '__proto__', 'constructor', 'Shop'])('a source nobody declared is not there: %s', async (name) => {
  expect((await post(name, shopBody, signed('msg_1'))).status).toBe(404);
});

test.each([
  ['{"a":', 'expected a JSON object'],
  ['{"a":{"scheme":"standard","secrets":["whsec_short"],"type":"x"}}', 'a.secrets.0'],
  ['{"A b":{}}', 'A b'],
  ['{"a":{"scheme":"none"}}', 'a.scheme'],
])('HOOKS that cannot be read is refused at the start without its secrets: %s', (value, message) => {
  const { error } = apiEnv.safeParse({ HOOKS: value });
  expect(error?.message).toContain(message);
  expect(error?.message).not.toContain('whsec_short');
});

test('HOOKS with a job type nobody has is refused at the start', async () => {
  const env = { HOOKS: JSON.stringify({ shop: { ...hooks.shop, type: 'no-such-type' } }) };
  await expect(openTestApi({ env })).rejects.toThrow('shop names the job type no-such-type');
});
