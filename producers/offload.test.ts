import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Backend, NewJob } from '../backends/backend.ts';
import { openBackend } from '../backends/open.ts';
import { portableJson } from '../backends/portable.ts';
import type { ObjectStore } from '../runtime/object-store.ts';
import { openFolderStore } from '../runtime/object-store-folder.ts';
import { fetchKept, pointerOf, storePayload } from '../runtime/payload-objects.ts';
import { addLarge, isLarge } from './offload.ts';

const limit = 262_144;
let folder: string;
let objects: ObjectStore;
let backend: Backend;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobfleet-offload-'));
  objects = await openFolderStore(folder);
  backend = await openBackend('embedded:memory', { onError: () => undefined });
});
afterAll(async () => {
  await backend.close();
  await rm(folder, { recursive: true, force: true });
});

const newJob = (id: string, text: string, options = {}): NewJob => ({
  id,
  name: 'big',
  json: JSON.stringify({ text }),
  timestamp: Date.now(),
  options,
});

describe('a payload near the limit', () => {
  test('is kept elsewhere exactly when its bytes, not its characters, are over 256 KiB', () => {
    const near = fc.tuple(fc.constantFrom('x', 'é', '語', '🙂', '\\', '"'), fc.integer({ min: -4, max: 4 }));
    fc.assert(
      fc.property(near, ([letter, offset]) => {
        const each = Buffer.byteLength(JSON.stringify(letter)) - 2;
        const text = letter.repeat(Math.floor((limit - 16) / each)) + 'x'.repeat(8 + offset);
        const json = JSON.stringify({ t: text });
        expect(isLarge({ json })).toBe(Buffer.byteLength(json) > limit);
        expect(typeof portableJson({ t: text })).toBe(Buffer.byteLength(json) > limit ? 'object' : 'string');
      }),
      { numRuns: 100 },
    );
  });

  test('comes back as it went in, whatever is in it, and only to its own job', async () => {
    let next = 0;
    const values = fc.dictionary(fc.string(), fc.oneof(fc.string({ unit: 'grapheme' }), fc.double(), fc.boolean()));
    await fc.assert(
      fc.asyncProperty(values, async (extra) => {
        const id = `big_${(next += 1)}`;
        const json = JSON.stringify({ extra, text: '🙂'.repeat(66_000) });
        const data: unknown = JSON.parse(JSON.stringify(await storePayload(objects, 'big', id, json)));
        const pointer = pointerOf('big', id, data);
        if (pointer === undefined) throw new Error(`no pointer: ${JSON.stringify(data)}`);
        expect(await fetchKept(objects, pointer)).toEqual(JSON.parse(json));
        expect([pointerOf('big', `${id}x`, data), pointerOf('other', id, data)]).toEqual([undefined, undefined]);
      }),
      { numRuns: 25 },
    );
  });
});

describe('a repeat with the same id', () => {
  test('keeps the first payload, and brings back one that was swept in between', async () => {
    const queue = 'big-again';
    await addLarge(queue, newJob('again', 'a'.repeat(limit)), { backend, objects });
    await addLarge(queue, newJob('again', 'b'.repeat(limit)), { backend, objects });
    const sweeping: Pick<Backend, 'add' | 'addMany'> = {
      addMany: backend.addMany.bind(backend),
      async add(name, job) {
        const stored = await backend.add(name, job);
        await objects.delete(`payloads/${queue}/again.json`);
        return stored;
      },
    };
    await addLarge(queue, newJob('again', 'a'.repeat(limit)), { backend: sweeping, objects });
    const pointer = pointerOf(queue, 'again', (await backend.queue(queue).getJob('again'))?.data);
    if (pointer === undefined) throw new Error('the job has no pointer');
    expect(await fetchKept(objects, pointer)).toEqual({ text: 'a'.repeat(limit) });
  });

  test('that meets a twin with another id leaves its payload to the keeper', async () => {
    const queue = 'big-twin';
    const options = { deduplication: { id: 'same' } };
    expect(await addLarge(queue, newJob('first', 'a'.repeat(limit), options), { backend, objects })).toBe('first');
    expect(await addLarge(queue, newJob('second', 'b'.repeat(limit), options), { backend, objects })).toBe('first');
    expect((await objects.head(`payloads/${queue}/first.json`))?.sizeBytes).toBe(limit + '{"text":""}'.length);
  });
});
