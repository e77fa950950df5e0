import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { deleteExpiredObjects, exportDays } from './expired-objects.ts';
import { openFolderStore } from './object-store-folder.ts';

test('deletes exports, uploads and texts after their days, of every tenant, and nothing else', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-expired-'));
  const objects = await openFolderStore(folder);
  const exports = ['t/-/exports/data-export_1/people.csv', 't/acme/exports/data-export_2/people.csv.gz'];
  const longer = ['t/-/uploads/exports/x', 't/acme/ocr/0a/text.txt', 't/acme/uploads/u/receipt.jpg'];
  const others = ['payloads/data-export/1.json', 't/acme/exported', 't/acme/images/a.jpg'];
  for (const key of [...exports, ...longer, ...others])
    await objects.put(key, Buffer.from('x'), { contentType: 'text/plain' });
  const listed: string[] = [];
  const watched: typeof objects = { ...objects, list: (prefix) => (listed.push(prefix), objects.list(prefix)) };
  const { signal } = new AbortController();
  const kept = { exports: exportDays, ocr: 30, uploads: 30 };
  const after = (days: number) => deleteExpiredObjects(watched, kept, signal, Date.now() + days * 86_400_000);
  expect([await after(6.99), await after(7.01), await after(29.99), await after(30.01)]).toEqual([0, 2, 0, 3]);
  expect(new Set(listed.map((prefix) => prefix.split('/')[2]))).toEqual(new Set(['exports', 'ocr', 'uploads']));
  const left: string[] = [];
  for await (const { key } of objects.list('')) left.push(key);
  expect(left).toEqual(others);
  await objects.put('t/-/uploads/u/one', Buffer.from('x'), { contentType: 'text/plain' });
  const stopped = AbortSignal.abort(new Error('another keeper'));
  await expect(deleteExpiredObjects(objects, kept, stopped, Date.now())).rejects.toThrow('another');
  await objects.close();
  await rm(folder, { recursive: true });
});
