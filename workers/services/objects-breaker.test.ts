import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defineHandler, defineJob } from '../../jobs/define.ts';
import type { ObjectStore } from '../../runtime/object-store.ts';
import { createBreakers } from '../breaker.ts';
import { runJob } from '../testing.ts';

const moving = defineJob({
  name: 'moving',
  summary: 'Fetches an input.',
  payload: z.strictObject({ source: z.string().default('object:t/-/a') }),
  result: z.object({ sizeBytes: z.number() }),
});
const handler = defineHandler(moving, {
  run: async ({ source }, { objects }) => ({ sizeBytes: (await objects.fetch(source, { maxBytes: 1_000 })).sizeBytes }),
});

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A store that answers so, under what every store has. */
function storeOf(get: ObjectStore['get']): ObjectStore {
  const refuse = async (): Promise<never> => {
    throw new Error('connect ECONNREFUSED');
  };
  return {
    kind: 's3',
    get,
    put: refuse,
    head: refuse,
    async *folders() {},
    async *list() {},
    delete: refuse,
    presign: async () => undefined,
    ping: refuse,
    close: async () => undefined,
  };
}

const described = { key: 't/-/a', contentType: 'text/plain', modifiedAt: new Date(0) };
const broken: readonly (readonly [string, ObjectStore['get']])[] = [
  [
    'is gone',
    async () => {
      throw new Error('connect ECONNREFUSED');
    },
  ],
  [
    'breaks off in the middle of a body',
    async () => {
      const body = new Readable({ read: () => body.push('abc') && body.destroy(new Error('socket hang up')) });
      return { ...described, sizeBytes: 10, body };
    },
  ],
];

describe('an object store', () => {
  test.each(broken)('that %s is left alone after five failures', async (_how, get) => {
    const breakers = createBreakers();
    let asked = 0;
    const objects = storeOf(async (...call) => {
      asked += 1;
      return get(...call);
    });
    for (let n = 0; n < 5; n += 1) {
      await using run = await runJob(handler, {}, { objects, breakers });
      expect(run.outcome).toMatchObject({ state: 'retry', code: 'NETWORK' });
    }
    await using parked = await runJob(handler, {}, { objects, breakers });
    expect(parked.outcome).toMatchObject({ state: 'later', code: 'DEPENDENCY_DOWN' });
    expect(asked).toBe(5);
    expect(breakers.samples()).toEqual([{ name: 'objects', state: 2 }]);
  });

  test('whose client tried four times by itself is left alone after two calls: a job that is alone must not die of it', async () => {
    const breakers = createBreakers();
    const objects = storeOf(() =>
      Promise.reject(Object.assign(new Error('ECONNREFUSED'), { $metadata: { attempts: 4 } })),
    );
    for (let n = 0; n < 2; n += 1) {
      await using run = await runJob(handler, {}, { objects, breakers });
      expect(run.outcome).toMatchObject({ state: 'retry', code: 'NETWORK' });
    }
    await using parked = await runJob(handler, {}, { objects, breakers });
    expect(parked.outcome).toMatchObject({ state: 'later', code: 'DEPENDENCY_DOWN' });
  });

  const refusal = Object.assign(new Error('Access Denied'), { $metadata: { httpStatusCode: 403 } });
  test.each<readonly [string, string, ObjectStore['get']]>([
    ['an absent object', 'BAD_SOURCE', async () => undefined],
    [
      'one that is too large',
      'LIMIT_EXCEEDED',
      async () => ({ ...described, sizeBytes: 2_000, body: Readable.from(['abc']) }),
    ],
    [
      'one that grows too large',
      'LIMIT_EXCEEDED',
      async () => ({ ...described, sizeBytes: 3, body: Readable.from([Buffer.alloc(2_000)]) }),
    ],
    ['a refusal', 'NETWORK', () => Promise.reject(refusal)],
  ])('is not blamed for %s', async (_what, code, get) => {
    const breakers = createBreakers();
    for (let n = 0; n < 10; n += 1) {
      await using run = await runJob(handler, {}, { objects: storeOf(get), breakers });
      expect(run.outcome).toMatchObject({ code });
    }
    expect(breakers.samples()).toEqual([{ name: 'objects', state: 0 }]);
  });

  test('is not believed to be back before a body came whole', async () => {
    const breakers = createBreakers();
    const body = new Readable({ read: () => undefined });
    const running = runJob(
      handler,
      {},
      { objects: storeOf(async () => ({ ...described, sizeBytes: 3, body })), breakers },
    );
    body.push('abc');
    body.push(null);
    await using run = await running;
    expect(run.outcome.state).toBe('done');
    expect(breakers.samples()).toEqual([{ name: 'objects', state: 0 }]);
  });
});

test('a host of inputs that keeps failing is left alone, and no other', async () => {
  let asked = 0;
  const server = createServer((_request, response) => {
    asked += 1;
    response.writeHead(502).end();
  }).listen(0, '127.0.0.1');
  closing.push(() => server.close());
  await new Promise((done) => server.once('listening', done));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const breakers = createBreakers();
  // Plain http is no input of a job; here it is what the allowed host speaks.
  const { createFetch } = await import('./http.ts');
  const fetchUrl = createFetch({ allow: [host], breakers });
  const ask = () =>
    fetchUrl(`http://${host}/a`, { maxBytes: 9, timeoutMs: 5_000, signal: new AbortController().signal });
  for (let n = 0; n < 5; n += 1) await expect(ask()).rejects.toMatchObject({ code: 'HTTP_502' });
  await expect(ask()).rejects.toMatchObject({ code: 'DEPENDENCY_DOWN', verdict: { kind: 'later' } });
  expect(asked).toBe(5);
  expect(breakers.samples()).toEqual([{ name: host, state: 2 }]);
});
