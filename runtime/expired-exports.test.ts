import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { deleteExpiredExports } from './expired-exports.ts';
import { openFolderStore } from './object-store-folder.ts';

test('deletes exports after seven days, of every tenant, and nothing else', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-exports-'));
  const objects = await openFolderStore(folder);
  const exports = ['t/-/exports/data-export_1/people.csv', 't/acme/exports/data-export_2/people.csv.gz'];
  const others = ['t/-/uploads/exports/x', 't/acme/images/a.jpg', 't/acme/exports', 'payloads/data-export/1.json'];
  for (const key of [...exports, ...others])
    await objects.put(key === 't/acme/exports' ? 't/acme/exported' : key, Buffer.from('x'), {
      contentType: 'text/plain',
    });
  const { signal } = new AbortController();
  expect(await deleteExpiredExports(objects, signal, Date.now() + 6.99 * 86_400_000)).toBe(0);
  expect(await deleteExpiredExports(objects, signal, Date.now() + 7.01 * 86_400_000)).toBe(2);
  const left: string[] = [];
  for await (const { key } of objects.list('')) left.push(key);
  expect(left).toEqual([
    'payloads/data-export/1.json',
    't/-/uploads/exports/x',
    't/acme/exported',
    't/acme/images/a.jpg',
  ]);
  const aborted = AbortSignal.abort(new Error('another keeper'));
  await expect(deleteExpiredExports(objects, aborted, Date.now())).rejects.toThrow('another');
  await objects.close();
  await rm(folder, { recursive: true });
});
