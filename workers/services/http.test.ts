import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import * as fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { isPublicAddress } from './address.ts';
import { guardedFetch, type LookupAll } from './http.ts';

const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
});

/** A real server on loopback, and how often it was asked. */
async function serve(listener: RequestListener, host = '127.0.0.1') {
  const hits: string[] = [];
  const server = createServer((request, response) => {
    hits.push(request.url ?? '');
    listener(request, response);
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, host, done));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, port, hits, allow: [`127.0.0.1:${port}`] };
}

const limits = { maxBytes: 1_000, timeoutMs: 2_000 };
const dead = { verdict: { kind: 'dead' } };

const answers =
  (...addresses: readonly string[]): LookupAll =>
  (_hostname, _options, done) =>
    done(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    );

describe('guardedFetch on what an operator allowed', () => {
  test('streams the body with status, headers and address', async () => {
    const server = await serve((_request, response) => response.setHeader('x-a', 'b').end('hello'));
    const fetched = await guardedFetch(`${server.url}/x?y=1`, { ...limits, allow: server.allow });
    expect(fetched).toMatchObject({ status: 200, url: `${server.url}/x?y=1` });
    expect(fetched.headers['x-a']).toBe('b');
    expect((await buffer(fetched.body)).toString()).toBe('hello');
  });

  test('follows three redirects, not four', async () => {
    const server = await serve((request, response) => {
      const left = Number(request.url?.slice(1));
      if (left === 0) response.end('end');
      else response.writeHead(302, { location: `/${left - 1}` }).end();
    });
    const fetched = await guardedFetch(`${server.url}/3`, { ...limits, allow: server.allow });
    expect((await buffer(fetched.body)).toString()).toBe('end');
    await expect(guardedFetch(`${server.url}/4`, { ...limits, allow: server.allow })).rejects.toMatchObject({
      code: 'FORBIDDEN_TARGET',
    });
  });

  test.each([
    'http://127.0.0.1:1/',
    'http://169.254.169.254/latest/meta-data/',
    'file:///etc/passwd',
    'ftp://example.com/',
    'http://user:secret@93.184.215.14/',
    'http://[::1]/',
    '//2130706433/',
  ])('refuses a redirect to %s', async (location) => {
    const server = await serve((_request, response) => response.writeHead(301, { location }).end());
    await expect(guardedFetch(server.url, { ...limits, allow: server.allow })).rejects.toMatchObject({
      code: 'FORBIDDEN_TARGET',
      ...dead,
    });
  });

  test('stops at maxBytes, by the declared length and by what comes', async () => {
    const server = await serve((request, response) => {
      if (request.url === '/declared') response.setHeader('content-length', '2000');
      response.write(Buffer.alloc(600));
      response.end(Buffer.alloc(1_400));
    });
    await expect(guardedFetch(`${server.url}/declared`, { ...limits, allow: server.allow })).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      ...dead,
    });
    const fetched = await guardedFetch(`${server.url}/chunked`, { ...limits, allow: server.allow });
    await expect(buffer(fetched.body)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
  });

  test('limits the total time of silent and of dripping servers', async () => {
    const server = await serve((request, response) => {
      if (request.url === '/silent') return;
      const drip = setInterval(() => response.write('.'), 20);
      response.on('close', () => clearInterval(drip));
    });
    const short = { maxBytes: 1_000_000, timeoutMs: 300, allow: server.allow };
    const retried = { code: 'NETWORK', verdict: { kind: 'retry' } };
    await expect(guardedFetch(`${server.url}/silent`, short)).rejects.toMatchObject(retried);
    const dripping = await guardedFetch(`${server.url}/drip`, short);
    await expect(buffer(dripping.body)).rejects.toMatchObject(retried);
  });

  test('retries what broke on the way: refused, reset, cut', async () => {
    const server = await serve((request, response) => {
      if (request.url === '/reset') request.socket.destroy();
      else response.writeHead(200, { 'content-length': '500' }).write('x', () => request.socket.destroy());
    });
    const retried = { code: 'NETWORK', verdict: { kind: 'retry' } };
    await expect(guardedFetch(`${server.url}/reset`, { ...limits, allow: server.allow })).rejects.toMatchObject(
      retried,
    );
    const cut = await guardedFetch(`${server.url}/cut`, { ...limits, allow: server.allow });
    await expect(buffer(cut.body)).rejects.toMatchObject(retried);
    await expect(guardedFetch('http://127.0.0.1:9/', { ...limits, allow: ['127.0.0.1:9'] })).rejects.toMatchObject(
      retried,
    );
  });

  test.each([
    [404, {}, { kind: 'dead' }],
    [410, {}, { kind: 'dead' }],
    [500, {}, { kind: 'retry', notBeforeMs: 0 }],
    [503, {}, { kind: 'retry', notBeforeMs: 0 }],
    [503, { 'retry-after': '7' }, { kind: 'later', delayMs: 7_000 }],
    [429, { 'retry-after': '2' }, { kind: 'later', delayMs: 2_000 }],
    [429, { 'retry-after': '-5' }, { kind: 'later', delayMs: 0 }],
    [429, { 'retry-after': 'soon' }, { kind: 'retry', notBeforeMs: 0 }],
    [304, {}, { kind: 'dead' }],
  ] as const)('turns %i %o into its outcome', async (status, headers, verdict) => {
    const server = await serve((_request, response) => response.writeHead(status, headers).end());
    await expect(guardedFetch(server.url, { ...limits, allow: server.allow })).rejects.toMatchObject({
      code: `HTTP_${status}`,
      verdict,
    });
  });

  test('passes the reason of an abort through', async () => {
    const abort = new AbortController();
    const reason = new Error('cancelled');
    const server = await serve(() => abort.abort(reason));
    await expect(guardedFetch(server.url, { ...limits, allow: server.allow, signal: abort.signal })).rejects.toBe(
      reason,
    );
  });

  test('does not use a proxy of the environment', async () => {
    const proxy = await serve((_request, response) => response.end('proxy'));
    const server = await serve((_request, response) => response.end('direct'));
    process.env['HTTP_PROXY'] = proxy.url;
    try {
      const fetched = await guardedFetch(server.url, { ...limits, allow: server.allow });
      expect((await buffer(fetched.body)).toString()).toBe('direct');
    } finally {
      delete process.env['HTTP_PROXY'];
    }
  });
});

describe('guardedFetch on everything else', () => {
  const spellings = [
    'http://127.0.0.1/',
    'http://2130706433/',
    'http://0x7f000001/',
    'http://0x7f.1/',
    'http://0177.0.0.1/',
    'http://127.1/',
    'http://127.0.0.1./',
    'http://127%2e0%2e0%2e1/',
    'http://１２７.０.０.１/',
    'http://0/',
    'http://[::1]/',
    'http://[::]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:7f00:1]/',
    'http://[::127.0.0.1]/',
    'http://[64:ff9b::7f00:1]/',
    'http://[2002:7f00:1::]/',
    'http://[fe80::1]/',
    'http://[fc00::1]/',
    'http://10.0.0.1/',
    'http://100.64.0.1/',
    'http://169.254.169.254/',
    'http://192.168.1.1/',
    'http://localhost/',
    'http://LOCALHOST/',
    'http://user@93.184.215.14/',
    'http://93.184.215.14:22/',
    'http://93.184.215.14:8080/',
    'ftp://93.184.215.14/',
    'file:///etc/passwd',
    'data:text/plain,x',
    'gopher://127.0.0.1/',
    'javascript:alert(1)',
    'not an address',
    '',
  ];

  test.each(spellings)('refuses %s', async (address) => {
    await expect(guardedFetch(address, limits)).rejects.toMatchObject({ code: 'FORBIDDEN_TARGET', ...dead });
  });

  test('refuses a name when one of its addresses is private', async () => {
    const lookup = answers('93.184.215.14', '10.0.0.1');
    await expect(guardedFetch('http://mixed.example/', { ...limits, lookup })).rejects.toMatchObject({
      code: 'FORBIDDEN_TARGET',
    });
  });

  test('connects to what was judged: an answer that changes in between reaches nobody', async () => {
    const canary = await serve((_request, response) => response.end('secret'));
    let asked = 0;
    // Never public twice: only the first answer could have been judged good, and no second one may be used.
    const lookup: LookupAll = (hostname, options, done) => {
      asked += 1;
      answers(asked === 1 ? '192.0.2.1' : '127.0.0.1')(hostname, options, done);
    };
    await expect(guardedFetch('http://flip.example/', { ...limits, lookup })).rejects.toMatchObject({
      code: 'FORBIDDEN_TARGET',
    });
    expect(asked).toBe(1);
    expect(canary.hits).toEqual([]);
  });

  test('retries a name that does not resolve', async () => {
    const lookup: LookupAll = (_hostname, _options, done) => done(new Error('getaddrinfo ENOTFOUND'), []);
    await expect(guardedFetch('http://nowhere.example/', { ...limits, lookup })).rejects.toMatchObject({
      code: 'NETWORK',
    });
  });

  test('an allowed pair opens that pair only', async () => {
    const server = await serve((_request, response) => response.end('x'));
    const other = await serve((_request, response) => response.end('y'));
    await expect(guardedFetch(other.url, { ...limits, allow: server.allow })).rejects.toMatchObject({
      code: 'FORBIDDEN_TARGET',
    });
    expect(other.hits).toEqual([]);
  });
});

describe('P12: an address that is let through is public, however it is spelled', () => {
  const octet = fc.nat(255);
  const spell = (value: number): fc.Arbitrary<string> =>
    fc.constantFrom(String(value), `0x${value.toString(16)}`, `0${value.toString(8)}`, `0x0${value.toString(16)}`);
  const ipv4 = fc.tuple(octet, octet, octet, octet).chain(([a, b, c, d]) => {
    const number = ((a * 256 + b) * 256 + c) * 256 + d;
    const dotted = `${a}.${b}.${c}.${d}`;
    const hex = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
    return fc
      .oneof(
        spell(number),
        fc.tuple(spell(a), spell(b), spell(c), spell(d)).map((parts) => parts.join('.')),
        fc.tuple(spell(a), spell(b * 65_536 + c * 256 + d)).map((parts) => parts.join('.')),
        fc.constantFrom(`${dotted}.`, `[::ffff:${dotted}]`, `[::${dotted}]`, `[64:ff9b::${hex}]`, `[2002:${hex}::]`),
        fc.constant(Buffer.from(dotted).toString('hex').replaceAll(/../g, '%$&')),
      )
      .map((host) => ({ host, dotted }));
  });
  const privateFirst = fc.oneof(
    ipv4,
    fc.constantFrom(
      { host: '2130706433', dotted: '127.0.0.1' },
      { host: '0xa9fea9fe', dotted: '169.254.169.254' },
      { host: '[::ffff:a00:1]', dotted: '10.0.0.1' },
    ),
  );

  test('literals', async () => {
    await fc.assert(
      fc.asyncProperty(privateFirst, fc.constantFrom('', ':80', ':443', ':22'), async ({ host, dotted }, port) => {
        if (isPublicAddress(dotted) && port !== ':22') return;
        // Not public, so it must be refused before a socket is opened: a look-up or a connection would take longer.
        await expect(guardedFetch(`http://${host}${port}/`, limits)).rejects.toMatchObject({
          code: 'FORBIDDEN_TARGET',
        });
      }),
      { numRuns: 5_000 },
    );
  });

  test('names', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.ipV4(), { minLength: 1, maxLength: 4 }), fc.nat(3), async (addresses, at) => {
        const planted = addresses.toSpliced(at, 0, '127.0.0.1');
        await expect(
          guardedFetch('http://name.example/', { ...limits, lookup: answers(...planted) }),
        ).rejects.toMatchObject({ code: 'FORBIDDEN_TARGET' });
      }),
      { numRuns: 500 },
    );
  });
});
