/** Clients that dribble, hang and never read: every one is gone within 15 s, and nobody else notices. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTestApi, type TestApi } from '../tests/support/api.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

const head = (): string =>
  `POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${api.key}\r\ncontent-type: application/json\r\n`;

/** Sends `start` at once and `rest` a byte every `everyMs`; answers what came back and how long the connection lived. */
async function dribble(start: string, rest: string, everyMs: number): Promise<{ text: string; lifeMs: number }> {
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
  const startedAt = performance.now();
  let text = '';
  let sent = 0;
  socket.on('data', (chunk) => {
    text += chunk.toString();
  });
  // The server closes while we write: that is what is measured.
  socket.on('error', () => socket.destroy());
  socket.write(start);
  const timer = setInterval(() => {
    if (socket.writable) socket.write(rest[sent % rest.length] ?? 'x');
    sent += 1;
  }, everyMs);
  await once(socket, 'close');
  clearInterval(timer);
  return { text, lifeMs: performance.now() - startedAt };
}

test('a slow head, a slow body, a body that stops and a silent connection end in time', async () => {
  const [slowHead, slowBody, stopped, silent, trickledChunks] = await Promise.all([
    dribble('POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\n', 'x-a: b\r\n', 200),
    dribble(`${head()}content-length: 1000\r\n\r\n{`, ' ', 200),
    dribble(`${head()}content-length: 1000\r\n\r\n{"type"`, '', 60_000),
    dribble('', '', 60_000),
    dribble(`${head()}transfer-encoding: chunked\r\n\r\n`, '1\r\n \r\n', 300),
  ]);
  for (const { lifeMs } of [slowHead, slowBody, stopped, silent, trickledChunks]) expect(lifeMs).toBeLessThan(15_000);
  for (const { text } of [slowHead, slowBody, stopped, trickledChunks]) expect(text).toMatch(/^HTTP\/1\.1 408 /);
  expect(slowBody.text).toContain('"code":"TIMEOUT"');
});

test('2,000 idle connections leave the API answering', async () => {
  const port = Number(new URL(api.url).port);
  const sockets: Socket[] = [];
  for (let index = 0; index < 2_000; index += 1) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => socket.destroy());
    sockets.push(socket);
  }
  await Promise.all(sockets.filter((socket) => socket.connecting).map((socket) => once(socket, 'connect')));
  const startedAt = performance.now();
  expect((await api.call('GET', '/v1/types')).status).toBe(200);
  expect(performance.now() - startedAt).toBeLessThan(2_000);
  for (const socket of sockets) socket.destroy();
});

test('a request that is not spoken to the end by a half-closed connection is refused, not kept', async () => {
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
  socket.end(`${head()}content-length: 1000\r\n\r\n{"type":`);
  socket.resume();
  const startedAt = performance.now();
  await once(socket, 'close');
  expect(performance.now() - startedAt).toBeLessThan(15_000);
});
