import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { boundCorpus, corpora } from '../../tests/corpus/bounds.ts';
import { accepted, refused } from '../../tests/corpus/notifications.ts';
import { madeUpSecret } from '../../tests/support/receivers.ts';
import { runJob } from '../../workers/testing.ts';
import handler from './handler.ts';
import notificationSending from './job.ts';

boundCorpus('notification-sending', 'webhooks');

/** Answers whatever it is told, byte for byte. */
let server: Server;
let port: number;
let speak: (socket: Socket) => void;
let asked = 0;
const open = new Set<Socket>();
beforeAll(async () => {
  server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => undefined).on('close', () => open.delete(socket));
    socket.once('data', () => {
      asked += 1;
      speak(socket);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  ({ port } = server.address() as AddressInfo);
});
afterAll(async () => {
  for (const socket of open) socket.destroy();
  await new Promise((done) => server.close(done));
});

const environment = () => ({
  TWILIO_ACCOUNT_SID: 'AC1',
  TWILIO_AUTH_TOKEN: 'token-of-the-test',
  TWILIO_FROM: '+15005550006',
  TWILIO_URL: `http://127.0.0.1:${port}`,
  WEBHOOK_SECRETS: `*=${madeUpSecret('s')}`,
});

async function attempt(payload: unknown, limitMs = 2_000) {
  const before = asked;
  const http = { allow: [`127.0.0.1:${port}`] };
  const startedAt = performance.now();
  await using run = await runJob(handler, payload, { env: environment(), http });
  expect(performance.now() - startedAt).toBeLessThan(limitMs);
  return { outcome: run.outcome, error: run.error, asked: asked - before };
}

test('there are as many cases as planned', () => {
  expect(refused.length + accepted.length).toBeGreaterThanOrEqual(corpora['notification-sending'].cases);
  expect(endpoints.length + inward.length).toBeGreaterThanOrEqual(corpora.webhooks.cases);
});

test.each(refused)('refused, and nobody is asked: %s', async (_name, payload) => {
  const { outcome, asked: count } = await attempt(payload);
  expect([outcome, count]).toEqual([{ state: 'dead', code: 'PAYLOAD_INVALID' }, 0]);
});

test.each(accepted)('accepted as it is: %s', (_name, payload) => {
  expect(notificationSending.payload.safeParse(payload)).toMatchObject({ success: true, data: payload });
});

const statusLine = (status: number, headers = ''): string =>
  `HTTP/1.1 ${status} X\r\n${headers}content-length: 0\r\n\r\n`;
const chunked = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n';
const bomb = gzipSync(Buffer.alloc(10_000_000));

const done = { state: 'done' };
const again = (code: string) => ({ state: 'later', code });

/** What an endpoint may say, and what becomes of the webhook. Each is one try, and no repetition within it. */
const endpoints: readonly (readonly [string, string | ((socket: Socket) => void), object])[] = [
  ...[200, 201, 202, 203, 204, 206, 299].map((status) => [`${status}`, statusLine(status), done] as const),
  ...[300, 301, 302, 303, 304, 305, 307, 308].map(
    (status) =>
      [`${status}`, statusLine(status, 'location: http://169.254.169.254/\r\n'), again(`HTTP_${status}`)] as const,
  ),
  ...[400, 401, 403, 404, 405, 406, 408, 409, 413, 415, 418, 421, 422, 425, 429, 431, 451, 499].map(
    (status) => [`${status}`, statusLine(status), again(`HTTP_${status}`)] as const,
  ),
  ...[500, 501, 502, 503, 504, 505, 507, 511, 520, 599].map(
    (status) => [`${status}`, statusLine(status), again(`HTTP_${status}`)] as const,
  ),
  ['410', statusLine(410), done],
  ...[
    '1',
    '0',
    '-1',
    '1.5',
    'soon',
    '',
    '99999999999999999999',
    'Wed, 21 Oct 2099 07:28:00 GMT',
    'Wed, 21 Oct 1999 07:28:00 GMT',
    '0x10',
    '1, 2',
  ].map(
    (value) =>
      [`503 with Retry-After ${value}`, statusLine(503, `retry-after: ${value}\r\n`), again('HTTP_503')] as const,
  ),
  ['a hint before its answer', `HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n${statusLine(200)}`, done],
  ['100, which nobody asked for', `HTTP/1.1 100 Continue\r\n\r\n${statusLine(200)}`, again('NETWORK')],
  ['101', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n', again('NETWORK')],
  ['nothing', (socket) => socket.end(), again('NETWORK')],
  ['a reset', (socket) => socket.resetAndDestroy(), again('NETWORK')],
  ['no HTTP', 'SSH-2.0-x\r\n', again('NETWORK')],
  ['TLS', (socket) => socket.end(Buffer.from([0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5])), again('NETWORK')],
  ['HTTP/0.9', (socket) => socket.end('<html>hello</html>'), again('NETWORK')],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n', again('NETWORK')],
  ['a status that is none', 'HTTP/1.1 abc OK\r\ncontent-length: 0\r\n\r\n', again('NETWORK')],
  ['headers without an end', (socket) => socket.end('HTTP/1.1 200 OK\r\nx: y\r\n'), again('NETWORK')],
  ['headers over 16 KiB', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`, again('NETWORK')],
  ['a header with a NUL', 'HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n', again('NETWORK')],
  ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 5\r\n\r\n', again('NETWORK')],
  ['a length below zero', 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n', again('NETWORK')],
  ['a body shorter than announced', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nx', done],
  ['a body without end', (socket) => socket.write(`${chunked}5\r\nhello\r\n`), done],
  ['a broken chunk', `${chunked}zz\r\n`, done],
  [
    'a gzip bomb',
    (socket) =>
      socket.write(
        Buffer.concat([
          Buffer.from(`HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${bomb.length}\r\n\r\n`),
          bomb,
        ]),
      ),
    done,
  ],
];

describe('an endpoint that answers a webhook with', () => {
  test.each(endpoints)('%s', async (_name, answer, outcome) => {
    speak = (socket) => (typeof answer === 'string' ? void socket.write(answer) : answer(socket));
    const payload = { userId: 'user_1', channel: 'webhook', to: `http://127.0.0.1:${port}/in` };
    // What a server leaves open without a word is cut by it here, so that no case waits for the time limit.
    const ended = await attempt(payload, 10_000);
    expect(ended.outcome).toMatchObject(outcome);
    expect(ended.asked).toBe(1);
    const delayMs = 'delayMs' in ended.outcome ? ended.outcome.delayMs : 0;
    expect(delayMs).toBeLessThanOrEqual(86_400_000);
  });
});

/** Addresses that are not public, however they are spelled. */
const inward = [
  'https://127.0.0.1/',
  'https://2130706433/',
  'https://0x7f.1/',
  'https://0177.0.0.1/',
  'https://127.1/',
  'https://[::1]/',
  'https://[::ffff:127.0.0.1]/',
  'https://[64:ff9b::7f00:1]/',
  'https://[fd00::1]/',
  'https://[fe80::1]/',
  'https://10.0.0.1/',
  'https://100.64.0.1/',
  'https://169.254.169.254/latest/meta-data/',
  'https://192.168.0.1/',
  'https://0.0.0.0/',
  'https://255.255.255.255/',
  'https://localhost/',
  'https://93.184.215.14:22/',
  'https://93.184.215.14:8443/',
  'http://localhost:1/',
];

describe('a webhook to an address that is not public, however it is spelled,', () => {
  test.each(inward)('is a dead letter: %s', async (to) => {
    const { outcome, asked: count } = await attempt({ userId: 'user_1', channel: 'webhook', to });
    expect([outcome, count]).toEqual([{ state: 'dead', code: 'FORBIDDEN_TARGET' }, 0]);
  });
});
