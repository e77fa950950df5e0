import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { openBackend } from './open.ts';

const onError = (error: Error) => {
  throw error;
};

/** A port of this machine on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('expected a port');
  return address.port;
}

describe('an address that cannot be used is refused in one sentence', () => {
  it.each([
    ['', 'BACKEND_URL', 'names no store'],
    ['mysql://localhost/x', 'BACKEND_URL', 'use one of embedded, '],
    ['sqs://eu-west-1', 'BACKEND_URL', 'not supported by this release'],
    ['redis+cluster://a:1,b:2/3', 'BACKEND_URL', 'Redis Cluster has database 0 only'],
    ['redis+sentinel://a:1,b:2', 'BACKEND_URL', 'names no primary'],
    ['redis://a:1,b:2', 'BACKEND_URL', 'names several servers'],
    ['redis://a:1/x', 'BACKEND_URL', 'names the database "x"'],
    ['redis://a:1?faimly=6', 'BACKEND_URL', 'has the parameter "faimly"'],
    ['redis://a:pa%zz@b:1', 'BACKEND_URL', 'percent-encoded'],
    ['redis+cluster://a:1,,b:2', 'BACKEND_URL', 'is no address'],
    ['postgres://user:pa/ss@host:port/db', 'BACKEND_URL', 'percent-encoded'],
    ['redis://host:99999', 'BACKEND_URL', 'is no address'],
  ])('%s', async (url, code, words) => {
    await expect(openBackend(url, { onError })).rejects.toMatchObject({
      name: 'BackendError',
      code,
      message: expect.stringContaining(words),
    });
  });

  it.each([
    ['redis', '/7'],
    ['redis+cluster', ''],
    ['redis+sentinel', '/primary?sentinelPassword=hush'],
    ['rediss', ''],
    ['postgres', '/7'],
  ])('%s that nobody serves, without its password', async (scheme, path) => {
    const port = await closedPort();
    const opening = openBackend(`${scheme}://someone:hush@127.0.0.1:${port}${path}`, { onError });
    await expect(opening).rejects.toMatchObject({
      code: 'BACKEND_UNREACHABLE',
      message: expect.stringMatching(/does not answer \(connect ECONNREFUSED .*start it, or correct QUEUE_URL$/),
    });
    await expect(opening).rejects.not.toThrow('hush');
  });
});
