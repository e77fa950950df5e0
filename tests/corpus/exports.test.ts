/** Exports that nobody should ask for: each ends as it must, in time, with nothing left behind, and no cell runs. */
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { buffer } from 'node:stream/consumers';
import { parse } from 'csv-parse/sync';
import { expect, test } from 'vitest';
import handler from '../../jobs/data-export/handler.ts';
import { memoryDocuments } from '../../runtime/documents-memory.ts';
import { type JobRun, runJob } from '../../workers/testing.ts';
import { crowding } from '../support/crowding.ts';
import { boundCorpus, corpora } from './bounds.ts';
import { type ExportCase, exportCases } from './exports.ts';

boundCorpus('data-export');

const limitMs = 3_000;
const scratch = async () => (await readdir(tmpdir())).filter((name) => name.startsWith('jobfleet-test-'));

async function exported({ payload, documents = [{ _id: 'a' }] }: ExportCase): Promise<JobRun> {
  const store = memoryDocuments({ people: {} });
  for (let at = 0; at < documents.length; at += 1_000)
    await store.of('acme').putMany('people', documents.slice(at, at + 1_000));
  await store.of('other').put('people', { _id: 'a0', note: 'of somebody else' });
  const asked = { collection: 'people', columns: [{ field: 'note' }], format: 'csv', unmasked: true, ...payload };
  return runJob(handler, asked, { tenant: 'acme', documents: store });
}

/** Cells of the only column, without its header. */
async function notesOf(run: JobRun): Promise<(string | undefined)[]> {
  const { key } = run.result as { key: string };
  const found = await run.objects.get(key.slice('object:'.length));
  const rows: string[][] = found === undefined ? [] : parse(await buffer(found.body), { bom: true });
  for (const cell of rows.flat()) expect(cell).not.toMatch(/^[=@]|^[+-](?![\d.])/);
  return rows.slice(1).map(([cell]) => cell);
}

test('there are enough of them, each with a name of its own', () => {
  expect(exportCases.length).toBeGreaterThanOrEqual(corpora['data-export'].cases);
  expect(new Set(exportCases.map(({ name }) => name)).size).toBe(exportCases.length);
});

test.each(exportCases)('$name', async (one) => {
  const startedAt = performance.now();
  await using run = await exported(one);
  expect(performance.now() - startedAt).toBeLessThan(limitMs * crowding());
  const got = 'code' in run.outcome ? run.outcome.code : await notesOf(run);
  expect(got, run.error?.message).toEqual(one.ends);
  const keys: string[] = [];
  for await (const { key } of run.objects.list('')) keys.push(key);
  // What ends badly has made nothing, and nobody gets a mail about it.
  const isDone = run.outcome.state === 'done';
  expect([keys.length, run.enqueued.length]).toEqual([isDone ? 1 : 0, 0]);
  await run.close();
  expect(await scratch()).toEqual([]);
});

test('one that is cancelled midway ends at once and publishes nothing', async () => {
  const store = memoryDocuments({ people: {} });
  for (let at = 0; at < 20; at += 1)
    await store.of('-').putMany(
      'people',
      Array.from({ length: 1_000 }, (_, n) => ({ _id: `n${at}-${n}`, note: 'x' })),
    );
  const own = store.of('-');
  let cancel: () => void = () => undefined;
  let pages = 0;
  const slow = {
    ...store,
    of: () => ({
      ...own,
      page: async (...call: Parameters<typeof own.page>) => {
        await new Promise((resolve) => setImmediate(resolve));
        pages += 1;
        if (pages === 5) cancel();
        return own.page(...call);
      },
    }),
  };
  await using run = await runJob(
    handler,
    { collection: 'people', columns: [{ field: 'note' }], format: 'csv' },
    { documents: slow, onStart: (running) => (cancel = () => running.abort('CANCELLED', 1_000)) },
  );
  expect(run.outcome.state).toBe('cancelled');
  expect(pages).toBeLessThan(10);
  const keys: string[] = [];
  for await (const { key } of run.objects.list('')) keys.push(key);
  expect(keys).toEqual([]);
});
