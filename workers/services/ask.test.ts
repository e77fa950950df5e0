import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import type { HttpRequest } from '../../jobs/ports.ts';
import { createBreakers } from '../breaker.ts';
import { type AskOptions, createAsk } from './ask.ts';
import type { LookupAll } from './guard.ts';

const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
});

interface Hit {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** A real server on loopback, what it was asked, and an `ask` that may reach it and waits for nothing. */
async function serve(listener: RequestListener, more: Partial<AskOptions> = {}) {
  const hits: Hit[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method, url, headers } = request;
      hits.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
      listener(request, response);
    });
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const waits: number[] = [];
  const breakers = createBreakers();
  const asking = createAsk({
    allow: [`127.0.0.1:${port}`],
    breakers,
    random: () => 0,
    pause: async (ms) => void waits.push(ms),
    ...more,
  });
  const ask = (path: string, request: Partial<HttpRequest> = {}, signal = new AbortController().signal) =>
    asking({ url: `http://127.0.0.1:${port}${path}`, ...request }, signal);
  return { ask, hits, port, waits, breakers };
}

const text = (body: Uint8Array): string => Buffer.from(body).toString();
const bomb = gzipSync(Buffer.alloc(20_000_000));
const packed: Readonly<Record<string, Buffer>> = {
  gzip: gzipSync('hello'),
  br: brotliCompressSync('hello'),
  deflate: deflateSync('hello'),
};

describe('an answer', () => {
  test('comes with its status, headers and body, whatever the status', async () => {
    const { ask, hits } = await serve((_request, response) => response.writeHead(418, { 'x-a': 'b' }).end('tea'));
    const answer = await ask('/x?y=1', {
      method: 'POST',
      body: '{"a":1}',
      headers: { 'Content-Type': 'application/json' },
    });
    expect(answer).toMatchObject({ status: 418, headers: { 'x-a': 'b' } });
    expect(text(answer.body)).toBe('tea');
    expect(hits).toMatchObject([{ method: 'POST', url: '/x?y=1', body: '{"a":1}' }]);
    expect(hits[0]?.headers).toMatchObject({ 'content-type': 'application/json', 'user-agent': 'jobfleet' });
  });

  test.each(Object.keys(packed))('packed as %s is unpacked', async (encoding) => {
    const { ask } = await serve((_request, response) =>
      response.setHeader('content-encoding', encoding).end(packed[encoding]),
    );
    expect(text((await ask('/')).body)).toBe('hello');
  });

  test('without a body may still name a packing', async () => {
    const { ask } = await serve((request, response) =>
      response.writeHead(request.url === '/304' ? 304 : 200, { 'content-encoding': 'gzip' }).end(),
    );
    expect((await ask('/304')).body).toHaveLength(0);
    expect((await ask('/', { method: 'HEAD' })).status).toBe(200);
  });

  test.each([
    ['declared', (response: ServerResponse) => response.setHeader('content-length', '2000').end(Buffer.alloc(2_000))],
    [
      'endless',
      (response: ServerResponse) => {
        const more = () => {
          while (response.write(Buffer.alloc(65_536)));
        };
        response.on('drain', more);
        more();
      },
    ],
    ['a gzip bomb', (response: ServerResponse) => response.setHeader('content-encoding', 'gzip').end(bomb)],
  ])('that is too long is refused: %s', async (_name, respond) => {
    const { ask } = await serve((_request, response) => respond(response));
    await expect(ask('/', { maxBytes: 1_000 })).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      verdict: { kind: 'dead' },
    });
  });

  test('that unpacks to more than the default is refused for that, however far its streams had come', async () => {
    const { ask, hits } = await serve((_request, response) => response.setHeader('content-encoding', 'gzip').end(bomb));
    await expect(ask('/')).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    expect(hits).toHaveLength(1);
  });

  test('of which only the status is wanted is not waited for', async () => {
    const { ask } = await serve((_request, response) => void response.write('and then'));
    expect(await ask('/', { readBody: false })).toMatchObject({ status: 200, body: new Uint8Array() });
  });

  test.each([
    ['7', 7_000],
    [' 0 ', 0],
    ['soon', undefined],
  ])('with Retry-After %s says so in ms', async (header, ms) => {
    const { ask } = await serve((_request, response) => response.writeHead(429, { 'retry-after': header }).end());
    expect((await ask('/')).retryAfterMs).toBe(ms);
  });

  test('packed in a way nobody knows is refused', async () => {
    const { ask } = await serve((_request, response) => response.setHeader('content-encoding', 'zz').end('x'));
    await expect(ask('/')).rejects.toMatchObject({ code: 'BAD_SOURCE' });
  });
});

describe('time', () => {
  test.each(['/silent', '/dripping-headers', '/dripping'])('is limited in all: %s', async (path) => {
    const { ask } = await serve((request, response) => {
      if (path === '/silent') return;
      const drip = setInterval(() => {
        if (path === '/dripping') response.write('.');
        else request.socket.write('HTTP/1.1 100 Continue\r\n\r\n');
      }, 20);
      request.socket.on('close', () => clearInterval(drip));
    });
    const startedAt = performance.now();
    await expect(ask(path, { timeoutMs: 300, tries: 1 })).rejects.toMatchObject({
      code: 'NETWORK',
      verdict: { kind: 'retry' },
      effect: 'unknown',
    });
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });

  test('ends with the attempt, with its reason', async () => {
    const abort = new AbortController();
    const reason = new Error('cancelled');
    const { ask, breakers } = await serve(() => abort.abort(reason));
    await expect(ask('/', {}, abort.signal)).rejects.toBe(reason);
    expect(breakers.samples()).toMatchObject([{ state: 0 }]);
  });
});

describe('tries', () => {
  test('are three for what may be asked twice, 1 to 2 and 2 to 4 seconds apart', async () => {
    const { ask, hits, waits } = await serve((_request, response) => response.writeHead(503).end());
    expect((await ask('/')).status).toBe(503);
    expect([hits.length, waits]).toEqual([3, [1_000, 2_000]]);
  });

  test('end with the first answer', async () => {
    let asked = 0;
    const { ask, hits } = await serve((request, response) => {
      asked += 1;
      if (asked === 1) request.socket.destroy();
      else response.writeHead(asked === 2 ? 502 : 200).end('ok');
    });
    expect(text((await ask('/')).body)).toBe('ok');
    expect(hits).toHaveLength(3);
  });

  test('never wait longer than 10 seconds: a longer Retry-After is an answer', async () => {
    const { ask, waits } = await serve((request, response) =>
      response.writeHead(503, { 'retry-after': request.url === '/short' ? '8' : '11' }).end(),
    );
    expect((await ask('/short', { tries: 5 })).status).toBe(503);
    expect(waits).toEqual([8_000, 8_000, 8_000, 8_000]);
    waits.length = 0;
    expect((await ask('/long', { dependency: 'another' })).retryAfterMs).toBe(11_000);
    expect(waits).toEqual([]);
  });

  test.each([
    ['POST', 503],
    ['GET', 500],
    ['GET', 429],
    ['GET', 404],
  ] as const)('are one for %s with %i', async (method, status) => {
    const { ask, hits } = await serve((_request, response) => response.writeHead(status).end());
    expect((await ask('/', { method })).status).toBe(status);
    expect(hits).toHaveLength(1);
  });
});

describe('redirects', () => {
  test('are followed as browsers do, and an answer when none is allowed', async () => {
    const { ask, hits } = await serve((request, response) => {
      const status = Number(request.url?.slice(1));
      if (status === 0) response.end('end');
      else response.writeHead(status, { location: '/0' }).end();
    });
    const post = { method: 'POST', body: 'b', headers: { 'content-type': 'text/plain' } } as const;
    for (const status of [301, 302, 303, 307, 308]) expect(text((await ask(`/${status}`, post)).body)).toBe('end');
    const seconds = hits.filter(({ url }) => url === '/0');
    expect(seconds.map(({ method, body }) => `${method} ${body}`)).toEqual([
      'GET ',
      'GET ',
      'GET ',
      'POST b',
      'POST b',
    ]);
    expect(seconds.map(({ headers }) => headers['content-type'])).toEqual([
      undefined,
      undefined,
      undefined,
      'text/plain',
      'text/plain',
    ]);
    expect((await ask('/302', { redirects: 0 })).status).toBe(302);
  });

  test('carry credentials to the same origin only', async () => {
    const other = await serve((_request, response) => response.end('x'));
    const first = await serve((request, response) => {
      const location = request.url === '/out' ? `http://127.0.0.1:${other.port}/` : '/same';
      response.writeHead(request.url === '/same' ? 200 : 302, { location }).end();
    });
    const allow = [`127.0.0.1:${first.port}`, `127.0.0.1:${other.port}`];
    const ask = createAsk({ allow, breakers: createBreakers() });
    const headers = { Authorization: 'secret', Cookie: 'c=1', 'x-a': 'b' };
    const { signal } = new AbortController();
    await ask({ url: `http://127.0.0.1:${first.port}/in`, headers }, signal);
    expect(first.hits.at(-1)?.headers).toMatchObject({ authorization: 'secret', cookie: 'c=1' });
    await ask({ url: `http://127.0.0.1:${first.port}/out`, headers }, signal);
    expect(other.hits.at(-1)?.headers).toMatchObject({ 'x-a': 'b' });
    expect(other.hits.at(-1)?.headers).not.toHaveProperty('authorization');
    expect(other.hits.at(-1)?.headers).not.toHaveProperty('cookie');
  });

  test.each([
    'http://127.0.0.1:1/',
    'http://169.254.169.254/latest/meta-data/',
    'http://user:secret@93.184.215.14/',
    'file:///etc/passwd',
    'http://[::ffff:10.0.0.1]/',
  ])('to %s are refused', async (location) => {
    const { ask } = await serve((_request, response) => response.writeHead(302, { location }).end());
    await expect(ask('/')).rejects.toMatchObject({ code: 'FORBIDDEN_TARGET', verdict: { kind: 'dead' } });
  });
});

describe('what is known of a request that failed', () => {
  const signal = new AbortController().signal;

  test.each([
    ['a private address', 'http://10.0.0.1/', 'FORBIDDEN_TARGET'],
    ['no address', 'nonsense', 'FORBIDDEN_TARGET'],
    ['a port nobody listens on', 'http://127.0.0.1:9/', 'NETWORK'],
  ])('is that nothing has left for %s', async (_name, url, code) => {
    const ask = createAsk({ allow: ['127.0.0.1:9'], breakers: createBreakers() });
    await expect(ask({ url, method: 'POST' }, signal)).rejects.toMatchObject({ code, effect: 'none' });
  });

  test('is nothing once the connection stood', async () => {
    const { ask } = await serve((request) => request.socket.destroy());
    await expect(ask('/', { method: 'POST' })).rejects.toMatchObject({ code: 'NETWORK', effect: 'unknown' });
  });

  test('is that it will not get better for a header no request may carry', async () => {
    const { ask, hits } = await serve((_request, response) => response.end());
    await expect(ask('/', { headers: { 'x-a': 'b\r\nx-evil: 1' } })).rejects.toMatchObject({
      code: 'PAYLOAD_INVALID',
      verdict: { kind: 'dead' },
    });
    expect(hits).toEqual([]);
  });
});

describe('the breaker of a host', () => {
  test('opens after five failures and lets one probe through; other hosts go on', async () => {
    let isDown = true;
    const { ask, hits, breakers, port } = await serve((_request, response) =>
      response.writeHead(isDown ? 500 : 200).end(),
    );
    for (let n = 0; n < 5; n += 1) expect((await ask('/')).status).toBe(500);
    expect(breakers.samples()).toEqual([{ name: `127.0.0.1:${port}`, state: 2 }]);
    await expect(ask('/')).rejects.toMatchObject({ code: 'DEPENDENCY_DOWN', verdict: { kind: 'later' } });
    expect(hits).toHaveLength(5);
    isDown = false;
    expect((await ask('/', { dependency: 'other' })).status).toBe(200);
  });

  test.each([404, 429, 302, 418])('does not count %i', async (status) => {
    const { ask, breakers } = await serve((_request, response) => response.writeHead(status).end());
    for (let n = 0; n < 10; n += 1) await ask('/');
    expect(breakers.samples()).toMatchObject([{ state: 0 }]);
  });

  test('does not count what was never asked', async () => {
    const breakers = createBreakers();
    const ask = createAsk({ breakers });
    const signal = new AbortController().signal;
    for (let n = 0; n < 10; n += 1)
      await expect(ask({ url: 'http://10.0.0.1/' }, signal)).rejects.toMatchObject({ code: 'FORBIDDEN_TARGET' });
    expect(breakers.samples()).toMatchObject([{ state: 0 }]);
  });
});

test('a name that leads to another address between look-up and connection reaches nobody', async () => {
  const { port, hits } = await serve((_request, response) => response.end('secret'));
  const flipping: LookupAll = (_hostname, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]);
  const ask = createAsk({ breakers: createBreakers(), lookup: flipping, allow: [`other.example:${port}`] });
  await expect(ask({ url: 'http://flip.example/' }, new AbortController().signal)).rejects.toMatchObject({
    code: 'FORBIDDEN_TARGET',
    effect: 'none',
  });
  expect(hits).toEqual([]);
});
