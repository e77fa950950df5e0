/**
 * The bad-input table of the HTTP API: generated cases by group. Each one must end in its class (a 4xx problem with a
 * stable code), never in a 5xx, and must store nothing.
 */
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestApi, type TestApi } from '../tests/support/api.ts';

let api: TestApi;
let other: { readonly id: string; readonly key: string };
beforeAll(async () => {
  api = await openTestApi();
  const { createKeys } = await import('./keys.ts');
  other = await createKeys({ records: api.backend.records }).create({ tenant: 'acme', scopes: ['jobs'] });
});
afterAll(async () => {
  const counts = await api.backend.queue('email-sending').getJobCounts();
  await api.close();
  expect(counts['waiting'], 'no bad request stored a job').toBe(0);
});

interface Case {
  readonly name: string;
  readonly bytes: string | Uint8Array;
  readonly statuses: readonly number[];
}

const good = '{"type":"email-sending","payload":{"to":"ada@example.com","template":"welcome"}}';

/** `headers` replace the usual ones of the same name; undefined leaves one out. */
function request(
  body: string | Uint8Array,
  headers: Readonly<Record<string, string | undefined>> = {},
  line = 'POST /v1/jobs HTTP/1.1',
): Uint8Array {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const all: Record<string, string | undefined> = {
    host: 'localhost',
    authorization: `Bearer ${api.key}`,
    'content-type': 'application/json',
    'content-length': String(bytes.length),
    connection: 'close',
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
  return Buffer.concat([Buffer.from(`${line}\r\n${lines.join('\r\n')}\r\n\r\n`, 'latin1'), bytes]);
}

const get = (path: string): Uint8Array =>
  request('', { 'content-type': undefined, 'content-length': undefined }, `GET ${path} HTTP/1.1`);

const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);

/** Sends all cases, eight at a time, and answers those that did not end as they must. */
async function wrong(cases: readonly Case[]): Promise<string[]> {
  const problems: string[] = [];
  for (let from = 0; from < cases.length; from += 8) {
    await Promise.all(
      cases.slice(from, from + 8).map(async ({ name, bytes, statuses }) => {
        const answer = await api.raw(bytes, 12_000);
        const status = statusOf(answer);
        const isProblem = answer.includes('application/problem+json') && /"code":"[A-Z_]+"/.test(answer);
        if (!statuses.includes(status) || !isProblem) problems.push(`${name}: ${status} ${answer.slice(-200)}`);
      }),
    );
  }
  return problems;
}

/** A small generator with a seed, so that a failing case can be run again. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 4_294_967_296;
  };
}

function jsonCases(name: string, bodies: readonly (string | Uint8Array)[], statuses = [400]): Case[] {
  return bodies.map((body, index) => ({
    name: `${name} ${index}: ${Buffer.from(body).toString('latin1').slice(0, 60)}`,
    bytes: request(body),
    statuses,
  }));
}

const payloadWith = (value: string): string =>
  `{"type":"email-sending","payload":{"to":"ada@example.com","template":"welcome","variables":{"name":${value}}}}`;

test('JSON syntax', async () => {
  const next = random(1);
  const truncated = Array.from({ length: 24 }, () => good.slice(0, 1 + Math.floor(next() * (good.length - 1))));
  const broken = [
    '',
    ' ',
    'null',
    '[]',
    '"text"',
    '1',
    'true',
    'undefined',
    'NaN',
    'Infinity',
    '-Infinity',
    `${good}${good}`,
    `${good} 1`,
    `${good},`,
    `// comment\n${good}`,
    `/* comment */${good}`,
    good.replace('}}', '},}'),
    good.replace('{', '{,'),
    good.replace(/"/g, "'"),
    good.replace('"type"', 'type'),
    good.replace(':', '='),
    `\u{FEFF}${good}`,
    `\v${good}`,
    `\u00A0${good}`,
    payloadWith('NaN'),
    payloadWith('undefined'),
    payloadWith('.5'),
    payloadWith('5.'),
    payloadWith('+5'),
    payloadWith('0x10'),
    payloadWith('01'),
    payloadWith('1e'),
    payloadWith('"tab\there"'),
    payloadWith('"line\nhere"'),
    payloadWith('"\\x41"'),
    payloadWith('"\\u12G4"'),
    payloadWith('"open'),
    payloadWith('tru'),
    payloadWith('[1,]'),
    payloadWith('{"a":1'),
  ];
  expect(await wrong(jsonCases('syntax', [...truncated, ...broken]))).toEqual([]);
});

test('encoding', async () => {
  const around = (bytes: readonly number[]): Uint8Array => {
    const [before = '', after = ''] = payloadWith('"@"').split('@"');
    return Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(`"${after}`)]);
  };
  const invalid = [
    [0x80],
    [0xbf],
    [0xc0, 0x80],
    [0xc1, 0xbf],
    [0xc3],
    [0xc3, 0x28],
    [0xe0, 0x80, 0x80],
    [0xe2, 0x82],
    [0xe2, 0x28, 0xa1],
    [0xed, 0xa0, 0x80],
    [0xed, 0xbf, 0xbf],
    [0xf0, 0x80, 0x80, 0x80],
    [0xf0, 0x28, 0x8c, 0xbc],
    [0xf4, 0x90, 0x80, 0x80],
    [0xf5, 0x80, 0x80, 0x80],
    [0xfe],
    [0xff],
    [0xff, 0xfe],
  ];
  const escaped = [
    '"\\u0000"',
    '"a\\u0000b"',
    '"\\ud800"',
    '"\\udc00"',
    '"\\ud800x"',
    '"\\udc00\\ud800"',
    '"x\\udbff"',
  ];
  const wide = [Buffer.from(good, 'utf16le'), Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(good, 'utf16le')])];
  const bodies = [...invalid.map(around), ...escaped.map(payloadWith), ...wide, `{"type\\u0000":1,${good.slice(1)}`];
  expect(await wrong(jsonCases('encoding', bodies))).toEqual([]);
});

test('numbers', async () => {
  const numbers = [
    '1e400',
    '-1e400',
    '1e99999',
    '-0',
    '-0.0',
    '-0e5',
    '1e-400',
    '9007199254740993',
    '-9007199254740993',
    '12345678901234567890',
    '99999999999999999999999',
    '1'.repeat(400),
    '0.0000000000001e-330',
  ];
  const places = numbers.map(payloadWith);
  const options = numbers.map((number) => `${good.slice(0, -1)},"options":{"delayMs":${number}}}`);
  const ranges = ['-1', '1.5', '31622400001', '"5"', 'null', 'true', '[]'].map(
    (value) => `${good.slice(0, -1)},"options":{"delayMs":${value}}}`,
  );
  expect(await wrong(jsonCases('numbers', [...places, ...options, ...ranges]))).toEqual([]);
});

test('depth, keys, duplicates', async () => {
  const nested = (depth: number, open = '[', close = ']') => payloadWith(open.repeat(depth) + close.repeat(depth));
  const keys = (count: number) =>
    payloadWith(`{${Array.from({ length: count }, (_, index) => `"k${index}":1`).join(',')}}`);
  const bodies = [
    ...[31, 32, 33, 64, 1_000, 20_000, 50_000, 100_000].map((depth) => nested(depth)),
    '['.repeat(200_000),
    nested(20_000, '{"a":', '}').replace('{"a":}', '{"a":1}'),
    ...[1_001, 5_000, 15_000].map(keys),
    ...[1_001, 50_000, 100_000].map((count) => payloadWith(`[${Array.from({ length: count }, () => 1).join(',')}]`)),
    good.replace('{', '{"type":"email-sending",'),
    payloadWith('{"a":1,"a":1}'),
    payloadWith('{"a":1,"\\u0061":2}'),
    payloadWith('{"a":{"b":1},"c":1,"a":2}'),
  ];
  expect(await wrong(jsonCases('depth', bodies))).toEqual([]);
});

test('prototype pollution', async () => {
  const values = [
    '{"__proto__":{"x":1}}',
    '{"__proto__":null}',
    '{"\\u005f_proto__":{"x":1}}',
    '{"a":{"__proto__":[]}}',
    '[{"__proto__":1}]',
    '{"constructor":{"prototype":{"x":1}}}',
    '{"c\\u006fnstructor":{"prototype":1}}',
    '{"a":{"constructor":{"prototype":{}}}}',
  ];
  const outer = ['__proto__', '\\u005F\\u005Fproto\\u005F\\u005F'].flatMap((key) => [
    `{"${key}":{},${good.slice(1)}`,
    `${good.slice(0, -1)},"options":{"${key}":{"delayMs":1}}}`,
    `${good.slice(0, -1)},"${key}":1}`,
  ]);
  expect(await wrong(jsonCases('proto', [...values.map(payloadWith), ...outer]))).toEqual([]);
  expect(Reflect.get({}, 'x')).toBeUndefined();
});

test('size', async () => {
  const sized = (bytes: number): string => payloadWith(`"${'x'.repeat(bytes - payloadWith('""').length)}"`);
  const chunked = (body: string): Uint8Array =>
    request(`${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`, {
      'content-length': undefined,
      'transfer-encoding': 'chunked',
    });
  const zipped = (body: string, encoding: string): Uint8Array =>
    request(gzipSync(body), { 'content-encoding': encoding });
  const cases: Case[] = [
    ...[262_145, 262_200, 300_000, 1_000_000].map((bytes) => ({
      name: `${bytes}`,
      bytes: request(sized(bytes)),
      statuses: [413],
    })),
    ...[262_145, 1_000_000].map((bytes) => ({
      name: `chunked ${bytes}`,
      bytes: chunked(sized(bytes)),
      statuses: [413],
    })),
    // At the limit the body is read; the name in it is still too long for its field.
    ...[262_143, 262_144].map((bytes) => ({ name: `limit ${bytes}`, bytes: request(sized(bytes)), statuses: [400] })),
    { name: 'announced only', bytes: request('{', { 'content-length': '999999999999' }), statuses: [413] },
    ...['gzip', 'br', 'deflate', 'zstd', 'compress', 'gzip, gzip', 'nonsense'].map((encoding) => ({
      name: encoding,
      bytes: zipped(good, encoding),
      statuses: [415],
    })),
    { name: 'bomb', bytes: zipped(' '.repeat(10_000_000), 'gzip'), statuses: [415] },
  ];
  expect(await wrong(cases)).toEqual([]);
});

test('content types', async () => {
  const types = [
    undefined,
    '',
    'text/plain',
    'text/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/xml',
    'application/octet-stream',
    '*/*',
    'application/jsonx',
    'application',
    'application/json; charset=utf-16',
    'application/json; charset=iso-8859-1',
    'application/json, text/plain',
    'application/problem+json',
    'json',
  ];
  const cases = types.map((type) => ({
    name: String(type),
    bytes: request(good, { 'content-type': type }),
    statuses: [415],
  }));
  expect(await wrong(cases)).toEqual([]);
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
    { name: given.slice(0, 40), bytes: get(`/v1/jobs/${given}`), statuses: [400, 404] },
    {
      name: `cancel ${given.slice(0, 40)}`,
      bytes: request('', { 'content-type': undefined }, `DELETE /v1/jobs/${given} HTTP/1.1`),
      statuses: [400, 404, 405],
    },
  ]);
  // `..` and `.` are two names of the list, which exists.
  const problems = await wrong(cases.filter(({ name }) => !/(^|\s)(\.\.|\.|%2e%2e)$/.test(name)));
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
    'tenant=acme',
    '%ff=1',
  ];
  expect(
    await wrong(queries.map((query) => ({ name: query, bytes: get(`/v1/jobs?${query}`), statuses: [400] }))),
  ).toEqual([]);
});

test('headers', async () => {
  const keyed = (value: string): Uint8Array => request(good, { 'idempotency-key': value });
  const twice = (name: string, value: string): Uint8Array =>
    Buffer.from(
      request(good.replace('ada', 'bob')).toString('latin1').replace('\r\n\r\n', `\r\n${name}: ${value}\r\n\r\n`),
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
    { name: 'huge header', bytes: request(good, { 'x-big': 'x'.repeat(20_000) }), statuses: [431] },
    {
      name: 'many headers',
      bytes: request(good, Object.fromEntries(Array.from({ length: 3_000 }, (_, i) => [`x-${i}`, 'y']))),
      statuses: [431],
    },
    { name: 'NUL in header', bytes: request(good, { 'x-nul': 'a\0b' }), statuses: [400] },
    { name: 'no host', bytes: request(good, { host: undefined }), statuses: [400] },
  ];
  expect(await wrong(cases)).toEqual([]);
});

function doubled(name: string): Uint8Array {
  return Buffer.from(
    Buffer.from(request(good)).toString('latin1').replace('\r\n\r\n', `\r\n${name}: a\r\n${name}: b\r\n\r\n`),
    'latin1',
  );
}

test('methods and smuggling', async () => {
  const line = (text: string): Uint8Array => request(good, {}, text);
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
    { name: 'negative length', bytes: `${head('content-length: -1')}`, statuses: [400] },
    { name: 'hex length', bytes: `${head('content-length: 0x5')}hello`, statuses: [400] },
    {
      name: 'TE twice',
      bytes: `${head('transfer-encoding: chunked\r\ntransfer-encoding: identity')}0\r\n\r\n`,
      statuses: [400],
    },
    { name: 'TE spelled wrong', bytes: `${head('transfer-encoding: xchunked')}0\r\n\r\n`, statuses: [400, 415] },
    { name: 'space before colon', bytes: `${head('content-length : 5')}hello`, statuses: [400] },
    { name: 'folded header', bytes: `${head('x-a: b\r\n c')}`, statuses: [400] },
    { name: 'bad chunk', bytes: `${head('transfer-encoding: chunked')}zz\r\n`, statuses: [400] },
    { name: 'garbage', bytes: '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', statuses: [400] },
  ];
  expect(await wrong(cases)).toEqual([]);
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
      { name: key.slice(0, 30), bytes: request(good, { authorization: `Bearer ${key}` }), statuses: [401] },
    ]);
    const schemes = [
      `Basic ${api.key}`,
      api.key,
      `Bearer${api.key}`,
      `Token ${api.key}`,
      `Bearer ${api.key} ${api.key}`,
    ].map((value) => ({
      name: value.slice(0, 20),
      bytes: request(good, { authorization: value }),
      statuses: [401],
    }));
    const inAddress = {
      name: 'in the address',
      bytes: request(
        '',
        { authorization: undefined, 'content-length': undefined },
        `GET /v1/jobs?key=${api.key} HTTP/1.1`,
      ),
      statuses: [401],
    };
    expect(await wrong([...cases, ...schemes, inAddress])).toEqual([]);
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
