import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import fastify from 'fastify';
import { afterEach, expect, test } from 'vitest';
import { listen, listenFrom } from './listen.ts';

const host = '127.0.0.1';
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function occupy(port = 0): Promise<number> {
  const server: Server = createServer().listen(port, host);
  await once(server, 'listening');
  closing.push(() => server.close());
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

function app() {
  const made = fastify();
  closing.push(() => made.close());
  return made;
}

test('a taken port is passed over for the next free one', async () => {
  const taken = await occupy();
  const opened = await listenFrom(app(), host, taken, 50);
  expect(opened.port).toBeGreaterThan(taken);
  expect(opened.url).toBe(`http://${host}:${opened.port}`);
  expect((await fetch(opened.url)).status).toBe(404);
});

test('a port that was asked for is that port or a sentence', async () => {
  const taken = await occupy();
  await expect(listen(app(), host, taken)).rejects.toMatchObject({
    name: 'CliError',
    exitCode: 2,
    message: `Port ${taken} on ${host} is taken; set PORT to a free one (0 takes any).`,
  });
  await expect(listenFrom(app(), host, taken, 1)).rejects.toThrow(
    `Ports ${taken} to ${taken} on ${host} are all taken`,
  );
});

test.each([
  ['192.0.2.1', 'HOST=192.0.2.1 is no address of this machine'],
  ['no-such-host.invalid', 'HOST=no-such-host.invalid is a name nobody knows'],
])('an address that cannot be had is a sentence: %s', async (other, sentence) => {
  await expect(listen(app(), other, 0)).rejects.toThrow(sentence);
  await expect(listenFrom(app(), other, 3_000, 50)).rejects.toThrow(sentence);
});
