/** The bad-input table of the HTTP API, everything but bodies: addresses, headers, methods, credentials. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { type Case, get, good, request, wrong } from '../tests/support/http-cases.ts';
import { createKeys } from './keys.ts';

let api: TestApi;
let other: { readonly id: string; readonly key: string };
beforeAll(async () => {
  api = await openTestApi();
  other = await createKeys({ records: api.backend.records }).create({ tenant: 'acme', scopes: ['jobs'] });
});
afterAll(() => api.close());
afterEach(async () => {
  const stored = await api.backend.queue('email-sending').getJobCountByTypes('waiting', 'delayed', 'prioritized');
  if (stored !== 0) throw new Error(`${stored} bad requests were stored as jobs`);
});

test('ids in the path', async () => {
  const id = `email-sending_${'0'.repeat(26)}`;
  const ids = [
    '%00',
    `${id}%00`,
    '..%2f',
    '..%2f..%2fetc',
    '%2e%2e',
    '..',
    '.',
    '%ff',
    '%',
    '%zz',
    '%0d%0aX-Evil:%201',
    `${id}%0d%0a`,
    'x'.repeat(65),
    'x'.repeat(10_000),
    id,
    id.toLowerCase(),
    'nope_00000000000000000000000000',
    "'; drop table job; --".replaceAll(' ', '%20'),
    '*',
    '%F0%9F%98%80',
    '1',
    'email-sending_',
    '__proto__',
    'constructor',
  ];
  const cases = ids.flatMap((given) => [
    { name: given.slice(0, 40), bytes: get(api, `/v1/jobs/${given}`), statuses: [400, 404] },
    {
      name: `cancel ${given.slice(0, 40)}`,
      bytes: request(api, '', { 'content-type': undefined }, `DELETE /v1/jobs/${given} HTTP/1.1`),
      statuses: [400, 404, 405],
    },
  ]);
  // `..` and `.` are two names of the list, which exists.
  const problems = await wrong(
    api,
    cases.filter(({ name }) => !/(^|\s)(\.\.|\.|%2e%2e)$/.test(name)),
  );
  expect(problems).toEqual([]);
});

test('queries', async () => {
  const queries = [
    'limit=0',
    'limit=-1',
    'limit=101',
    'limit=1e9',
    'limit=1.5',
    'limit=',
    'limit=abc',
    'limit=10&limit=20',
    'limit[]=1',
    'limit[$ne]=1',
    'limit=%00',
    'limit=999999999999999999999',
    'cursor=',
    'cursor=x',
    'cursor=../..',
    'cursor=0.%00',
    'cursor=0.AAAA',
    `cursor=${'9'.repeat(300)}`,
    'status=nope',
    'status=',
    'status=completed&status=failed',
    'status[$ne]=x',
    'queue=nope',
    'queue=%00',
    `queue=${'q'.repeat(65)}`,
    'queue=a&queue=b',
    'page=1',
    '__proto__=1',
    '__proto__[x]=1',
    'constructor=1',
    'tenant=Not%20One',
    'text=',
    'from=yesterday',
    '%ff=1',
  ];
  expect(
    await wrong(
      api,
      queries.map((query) => ({ name: query, bytes: get(api, `/v1/jobs?${query}`), statuses: [400] })),
    ),
  ).toEqual([]);
});

test('headers', async () => {
  const keyed = (value: string): Buffer => request(api, good, { 'idempotency-key': value });
  const twice = (name: string, value: string): Uint8Array =>
    Buffer.from(
      request(api, good.replace('ada', 'bob')).toString('latin1').replace('\r\n\r\n', `\r\n${name}: ${value}\r\n\r\n`),
      'latin1',
    );
  const cases: Case[] = [
    ...['', ' ', 'x'.repeat(256), 'x'.repeat(4_000), 'ta\tb', 'caf\u00e9', '\u0080'].map((value) => ({
      name: `key ${value.slice(0, 10)}`,
      bytes: keyed(value),
      statuses: [400],
    })),
    { name: 'key with CRLF', bytes: keyed('a\r\nx: \r\n y'), statuses: [400] },
    { name: 'two keys', bytes: doubled('idempotency-key'), statuses: [400] },
    { name: 'two authorizations', bytes: twice('authorization', 'Bearer x'), statuses: [400] },
    { name: 'two types', bytes: twice('content-type', 'text/plain'), statuses: [400] },
    { name: 'huge header', bytes: request(api, good, { 'x-big': 'x'.repeat(20_000) }), statuses: [431] },
    {
      name: 'many headers',
      bytes: request(api, good, Object.fromEntries(Array.from({ length: 3_000 }, (_, i) => [`x-${i}`, 'y']))),
      statuses: [431],
    },
    { name: 'NUL in header', bytes: request(api, good, { 'x-nul': 'a\0b' }), statuses: [400] },
    { name: 'no host', bytes: request(api, good, { host: undefined }), statuses: [400] },
  ];
  expect(await wrong(api, cases)).toEqual([]);
});

function doubled(name: string): Uint8Array {
  return Buffer.from(
    request(api, good).toString('latin1').replace('\r\n\r\n', `\r\n${name}: a\r\n${name}: b\r\n\r\n`),
    'latin1',
  );
}

test('methods and smuggling', async () => {
  const line = (text: string): Uint8Array => request(api, good, {}, text);
  const head = (headers: string): string =>
    `POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${api.key}\r\ncontent-type: application/json\r\nconnection: close\r\n${headers}\r\n\r\n`;
  const cases: Case[] = [
    ...['PUT', 'PATCH', 'OPTIONS'].map((method) => ({
      name: method,
      bytes: line(`${method} /v1/jobs HTTP/1.1`),
      statuses: [404, 405],
    })),
    ...['TRACE', 'get', 'FOO', 'G@T'].map((method) => ({
      name: method,
      bytes: line(`${method} /v1/jobs HTTP/1.1`),
      statuses: [400, 404, 405],
    })),
    { name: 'HTTP/0.9', bytes: 'GET /v1/jobs\r\n\r\n', statuses: [400] },
    { name: 'HTTP/2.0', bytes: line('POST /v1/jobs HTTP/2.0'), statuses: [400] },
    { name: 'HTTP/9', bytes: line('POST /v1/jobs HTTP/9'), statuses: [400] },
    {
      name: 'CL and TE',
      bytes: `${head('content-length: 5\r\ntransfer-encoding: chunked')}0\r\n\r\n`,
      statuses: [400],
    },
    { name: 'two lengths', bytes: `${head('content-length: 5\r\ncontent-length: 6')}hello`, statuses: [400] },
    { name: 'negative length', bytes: head('content-length: -1'), statuses: [400] },
    { name: 'hex length', bytes: `${head('content-length: 0x5')}hello`, statuses: [400] },
    {
      name: 'TE twice',
      bytes: `${head('transfer-encoding: chunked\r\ntransfer-encoding: identity')}0\r\n\r\n`,
      statuses: [400],
    },
    { name: 'TE spelled wrong', bytes: `${head('transfer-encoding: xchunked')}0\r\n\r\n`, statuses: [400, 415] },
    { name: 'space before colon', bytes: `${head('content-length : 5')}hello`, statuses: [400] },
    { name: 'folded header', bytes: head('x-a: b\r\n c'), statuses: [400] },
    { name: 'bad chunk', bytes: `${head('transfer-encoding: chunked')}zz\r\n`, statuses: [400] },
    { name: 'garbage', bytes: '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', statuses: [400] },
  ];
  expect(await wrong(api, cases)).toEqual([]);
});

describe('credentials', () => {
  test('every bad key is 401 on every route, before anything else is looked at', async () => {
    const flip = (text: string, at: number): string =>
      text.slice(0, at) + (text[at] === 'a' ? 'b' : 'a') + text.slice(at + 1);
    const keys = [
      '',
      'x',
      api.key.slice(1),
      `${api.key}x`,
      ` ${api.key}`.trimEnd().replace(/^ /, 'x'),
      'jf_live_',
      other.key.slice(0, -1),
      flip(other.key, 10),
      flip(other.key, 30),
      flip(other.key, other.key.length - 1),
      other.key.toLowerCase(),
      other.key.replace('live', 'test'),
      'null',
      'undefined',
      '[object Object]',
      "' or 1=1 --",
      'a'.repeat(600),
      'a'.repeat(8_000),
      '*',
      '../../x',
    ];
    const cases = keys.flatMap((key) => [
      { name: key.slice(0, 30), bytes: request(api, good, { authorization: `Bearer ${key}` }), statuses: [401] },
    ]);
    const schemes = [
      `Basic ${api.key}`,
      api.key,
      `Bearer${api.key}`,
      `Token ${api.key}`,
      `Bearer ${api.key} ${api.key}`,
    ].map((value) => ({
      name: value.slice(0, 20),
      bytes: request(api, good, { authorization: value }),
      statuses: [401],
    }));
    const inAddress = {
      name: 'in the address',
      bytes: request(
        api,
        '',
        { authorization: undefined, 'content-length': undefined },
        `GET /v1/jobs?key=${api.key} HTTP/1.1`,
      ),
      statuses: [401],
    };
    expect(await wrong(api, [...cases, ...schemes, inAddress])).toEqual([]);
  });

  test('another tenant sees 404, exactly as for what never was', async () => {
    const { id } = await api.client.enqueueNamed('image-processing', { source: 'object:t/-/a.png' });
    const headers = { authorization: `Bearer ${other.key}` };
    const never = await api.call('GET', `/v1/jobs/image-processing_${'0'.repeat(26)}`, undefined, headers);
    for (const method of ['GET', 'DELETE']) {
      const answer = await api.call(method, `/v1/jobs/${id}`, undefined, headers);
      expect({ ...answer.json, instance: '' }).toEqual({ ...never.json, instance: '' });
      expect(answer.status).toBe(404);
    }
    expect((await api.call('GET', '/v1/jobs', undefined, headers)).json['items']).toEqual([]);
    for (const path of ['/v1/queues', '/v1/dead-letters', '/v1/dead-letters/groups']) {
      expect((await api.call('GET', path, undefined, headers)).status).toBe(403);
    }
    expect((await api.call('GET', `/v1/jobs/${id}`)).status).toBe(200);
  });
});
