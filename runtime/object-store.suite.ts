/** What every object store must do, run on the folder by object-store.test.ts and on S3 by object-store.live.test.ts. */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type ObjectHead,
  ObjectKeyError,
  ObjectRangeError,
  type ObjectStore,
  ObjectTooLargeError,
} from './object-store.ts';

const text = { contentType: 'text/plain' };
const megabyte = 1_048_576;

async function read(store: ObjectStore, key: string, range?: { start: number; end?: number }): Promise<string> {
  const found = await store.get(key, range === undefined ? {} : { range });
  if (found === undefined) throw new Error(`expected ${key} to be there`);
  return (await buffer(found.body)).toString();
}

async function keysOf(heads: AsyncIterable<ObjectHead>): Promise<string[]> {
  const keys: string[] = [];
  for await (const head of heads) keys.push(head.key);
  return keys;
}

/** `body` in pieces of 64 KiB; `onHalf` runs before the second half is sent. */
async function* pieces(body: Uint8Array, onHalf: () => Promise<void>): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.byteLength; at += 65_536) {
    if (at === Math.floor(body.byteLength / 2 / 65_536) * 65_536) await onHalf();
    yield body.subarray(at, at + 65_536);
  }
}

/** `open` makes a store that nobody else uses, `openBroken` one that may not be written: wrong credentials, a folder that is closed. */
export function objectStoreSuite(
  name: string,
  open: () => Promise<ObjectStore>,
  openBroken: () => Promise<ObjectStore>,
): void {
  describe(`object store on ${name}`, () => {
    let store: ObjectStore;
    beforeAll(async () => {
      store = await open();
    });
    afterAll(async () => {
      await store.close();
    });

    test('gives back what was put, with size, type and time', async () => {
      const answer = await store.put('t/-/a/hello.txt', Buffer.from('hello'), text);
      expect(answer).toEqual({ stored: true, sizeBytes: 5 });
      expect(await read(store, 't/-/a/hello.txt')).toBe('hello');
      const head = await store.head('t/-/a/hello.txt');
      expect(head).toMatchObject({ key: 't/-/a/hello.txt', sizeBytes: 5, contentType: 'text/plain' });
      expect(Math.abs(Date.now() - (head?.modifiedAt.getTime() ?? 0))).toBeLessThan(60_000);
    });

    test('overwrites bytes and type', async () => {
      await store.put('t/-/a/over', Buffer.from('first, and longer'), text);
      await store.put('t/-/a/over', Buffer.from('second'), { contentType: 'image/png' });
      expect(await read(store, 't/-/a/over')).toBe('second');
      expect(await store.head('t/-/a/over')).toMatchObject({ sizeBytes: 6, contentType: 'image/png' });
    });

    test('stores an empty object', async () => {
      expect(await store.put('t/-/a/empty', Buffer.alloc(0), text)).toEqual({ stored: true, sizeBytes: 0 });
      expect(await read(store, 't/-/a/empty')).toBe('');
    });

    test('answers undefined for what is absent, and deletes it without complaint', async () => {
      expect(await store.get('t/-/absent')).toBeUndefined();
      expect(await store.head('t/-/absent')).toBeUndefined();
      await store.delete('t/-/absent');
      await store.put('t/-/gone/x', Buffer.from('x'), text);
      await store.delete('t/-/gone/x');
      expect(await store.head('t/-/gone/x')).toBeUndefined();
      expect(await keysOf(store.list('t/-/gone/'))).toEqual([]);
    });

    test('serves ranges and refuses one behind the end', async () => {
      await store.put('t/-/a/range', Buffer.from('0123456789'), text);
      expect(await read(store, 't/-/a/range', { start: 2, end: 4 })).toBe('234');
      expect(await read(store, 't/-/a/range', { start: 7 })).toBe('789');
      expect(await read(store, 't/-/a/range', { start: 8, end: 99 })).toBe('89');
      const part = await store.get('t/-/a/range', { range: { start: 9 } });
      expect(part?.sizeBytes).toBe(10);
      part?.body.destroy();
      await expect(store.get('t/-/a/range', { range: { start: 10 } })).rejects.toThrow(ObjectRangeError);
    });

    test('lists by prefix, in key order, and nothing of the neighbours', async () => {
      const keys = ['t/l/a', 't/l/a-b', 't/l/a.b', 't/l/a0', 't/l/b/c/d', 't/l/b/c=', 't/l2/z'];
      for (const key of keys.toReversed()) await store.put(key, Buffer.from(key), text);
      const ordered = ['t/l/a', 't/l/a-b', 't/l/a.b', 't/l/a0', 't/l/b/c/d', 't/l/b/c='];
      expect(await keysOf(store.list('t/l/'))).toEqual(ordered);
      expect(await keysOf(store.list('t/l/b/c'))).toEqual(['t/l/b/c/d', 't/l/b/c=']);
      expect(await keysOf(store.list('t/l/b/c/'))).toEqual(['t/l/b/c/d']);
      expect(await keysOf(store.list('t/l'))).toEqual([...ordered, 't/l2/z']);
      expect(await keysOf(store.list('t/nobody/'))).toEqual([]);
    });

    test('names the folders below a prefix, each once', async () => {
      for (const key of ['f/b/x', 'f/a/y', 'f/a/z/1', 'f/file', 'f2/c/x']) await store.put(key, Buffer.from('x'), text);
      const names = async (prefix: string): Promise<string[]> => {
        const found: string[] = [];
        for await (const name of store.folders(prefix)) found.push(name);
        return found;
      };
      expect(await names('f/')).toEqual(['a', 'b']);
      expect(await names('f/a/')).toEqual(['z']);
      expect(await names('nobody/')).toEqual([]);
    });

    test('takes a stream of more than 5 MiB whose length nobody knows', async () => {
      const body = randomBytes(11 * megabyte + 7);
      const answer = await store.put('t/-/big', Readable.from(pieces(body, setImmediate)), {
        contentType: 'video/mp4',
      });
      expect(answer).toEqual({ stored: true, sizeBytes: body.byteLength });
      const found = await store.get('t/-/big');
      expect(found?.contentType).toBe('video/mp4');
      expect(found === undefined ? undefined : (await buffer(found.body)).equals(body)).toBe(true);
    });

    test('never shows half of an object, neither while it is written nor after the stream broke', async () => {
      const body = Buffer.alloc(12 * megabyte, 1);
      let seen: unknown = 'not asked';
      const broken = pieces(body, async () => {
        seen = await store.head('t/half/x');
        throw new Error('the source broke');
      });
      await expect(store.put('t/half/x', Readable.from(broken), text)).rejects.toThrow('the source broke');
      expect(seen).toBeUndefined();
      expect(await keysOf(store.list('t/half/'))).toEqual([]);

      await store.put('t/half/x', Buffer.from('old'), text);
      await store.put(
        't/half/x',
        Readable.from(
          pieces(body, async () => {
            seen = await read(store, 't/half/x');
          }),
        ),
        text,
      );
      expect(seen).toBe('old');
      expect((await store.head('t/half/x'))?.sizeBytes).toBe(body.byteLength);
    });

    test('stops at maxBytes and keeps nothing', async () => {
      const small = Readable.from([Buffer.from('123'), Buffer.from('456')]);
      await expect(store.put('t/-/over-limit', small, { ...text, maxBytes: 5 })).rejects.toThrow(ObjectTooLargeError);
      const big = Readable.from(pieces(Buffer.alloc(9 * megabyte), setImmediate));
      const limit = { ...text, maxBytes: 8 * megabyte };
      await expect(store.put('t/-/over-limit', big, limit)).rejects.toThrow(ObjectTooLargeError);
      await expect(store.put('t/-/over-limit', Buffer.alloc(6), { ...text, maxBytes: 5 })).rejects.toThrow(
        ObjectTooLargeError,
      );
      expect(await store.head('t/-/over-limit')).toBeUndefined();
      expect(await store.put('t/-/at-limit', Buffer.alloc(5), { ...text, maxBytes: 5 })).toMatchObject({
        sizeBytes: 5,
      });
    });

    test('stops on abort and keeps nothing', async () => {
      const abort = new AbortController();
      const body = pieces(Buffer.alloc(12 * megabyte), async () => abort.abort(new Error('cancelled')));
      const put = store.put('t/-/aborted', Readable.from(body), { ...text, signal: abort.signal });
      await expect(put).rejects.toThrow(/abort|cancel/i);
      expect(await store.head('t/-/aborted')).toBeUndefined();
    });

    test('an abort before the body is read ends nothing but the body', async () => {
      await store.put('t/-/unread', Buffer.alloc(megabyte), text);
      const abort = new AbortController();
      const found = await store.get('t/-/unread', { signal: abort.signal });
      abort.abort(new Error('cancelled'));
      // Two turns of the loop: an error without a listener would end this process by now.
      await setImmediate();
      await setImmediate();
      await expect(found && buffer(found.body)).rejects.toThrow(/abort|cancel/i);
      await expect(store.get('t/-/unread', { signal: abort.signal })).rejects.toThrow(/abort|cancel/i);
    });

    test('puts only when absent: one winner of twenty, and the first bytes stay', async () => {
      const tries = Array.from({ length: 20 }, async (_, n) =>
        store.put('t/-/once', Buffer.from(`writer ${n}`), { ...text, ifAbsent: true }),
      );
      const answers = await Promise.all(tries);
      expect(answers.filter((answer) => answer.stored)).toHaveLength(1);
      const winner = answers.findIndex((answer) => answer.stored);
      expect(await read(store, 't/-/once')).toBe(`writer ${winner}`);
      const late = Readable.from(pieces(Buffer.alloc(11 * megabyte), setImmediate));
      expect(await store.put('t/-/once', late, { ...text, ifAbsent: true })).toMatchObject({ stored: false });
      expect(await read(store, 't/-/once')).toBe(`writer ${winner}`);
    });

    test('refuses keys that try to escape, in every call', async () => {
      const bad = [
        '',
        '/',
        'a//b',
        '../x',
        'a/../b',
        'a/..',
        './a',
        'a/',
        '/a',
        'a\\b',
        'a\0b',
        'a b',
        'ä',
        'a/%2e%2e/b',
      ];
      for (const key of [...bad, 'x'.repeat(256), `${'abc/'.repeat(256)}d`]) {
        await expect(store.put(key, Buffer.from('x'), text)).rejects.toThrow(ObjectKeyError);
        await expect(store.get(key)).rejects.toThrow(ObjectKeyError);
        await expect(store.head(key)).rejects.toThrow(ObjectKeyError);
        await expect(store.delete(key)).rejects.toThrow(ObjectKeyError);
        await expect(store.presign({ method: 'GET', key, ttlMs: 1_000 })).rejects.toThrow(ObjectKeyError);
      }
      await expect(keysOf(store.list('../'))).rejects.toThrow(ObjectKeyError);
    });

    test('P13: a key that is accepted stays under its prefix after normalisation', async () => {
      const part = fc.oneof(
        fc.constantFrom('..', '.', '', '%2e%2e', '..\\', 'a', '\u0000'),
        fc.string({ unit: 'binary' }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 5 }), async (parts) => {
          const key = `t/acme/${parts.join('/')}`;
          const refused = await store.head(key).then(
            () => false,
            (error: unknown) => error instanceof ObjectKeyError,
          );
          expect(refused || new URL(key, 'http://host/').pathname === `/${key}`).toBe(true);
        }),
        { numRuns: store.kind === 'folder' ? 5_000 : 200 },
      );
    });

    test('answers a ping', async () => {
      await expect(store.ping()).resolves.toBeUndefined();
    });

    test('says in one sentence with its fix that it may not be written, and stores nothing', async () => {
      const broken = await openBroken();
      await expect(broken.ping()).rejects.toThrow(/cannot be (?:written|reached) .+STORAGE_URL/);
      await expect(broken.put('t/-/broken', Buffer.from('x'), text)).rejects.toThrow(/ENOENT|403|denied|signature/i);
      await broken.close();
      expect(await store.head('t/-/broken')).toBeUndefined();
    });

    test('signs links to itself, or none where the API serves the bytes', async () => {
      await store.put('t/-/signed', Buffer.from('0123456789'), text);
      const key = 't/-/signed';
      const get = await store.presign({ method: 'GET', key, ttlMs: 60_000 });
      const put = await store.presign({ method: 'PUT', key: 't/-/up', ttlMs: 60_000, ...text, sizeBytes: 2 });
      const signs = store.kind === 's3';
      expect([get?.method, put?.method]).toEqual(signs ? ['GET', 'PUT'] : [undefined, undefined]);
      const answer = get === undefined ? '0123456789' : await (await fetch(get.url)).text();
      expect(answer).toBe('0123456789');
    });
  });
}
