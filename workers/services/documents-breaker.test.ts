import { expect, test } from 'vitest';
import { z } from 'zod';
import { defineHandler, defineJob } from '../../jobs/define.ts';
import { DocumentError } from '../../runtime/document-checks.ts';
import { memoryDocuments } from '../../runtime/documents-memory.ts';
import { createBreakers } from '../breaker.ts';
import { runJob } from '../testing.ts';

const reading = defineJob({
  name: 'reading',
  summary: 'Reads a document.',
  payload: z.strictObject({}),
  result: z.object({ found: z.boolean() }),
  collections: { notes: {} },
});
const handler = defineHandler(reading, {
  run: async (_payload, { documents }) => ({ found: (await documents.get('notes', 'a')) !== undefined }),
});

/** A store that fails in this way, under the checks that every store has. */
function failing(code: DocumentError['code']) {
  const documents = memoryDocuments(reading.collections);
  const get = async (): Promise<never> => {
    throw new DocumentError(code, 'the store does not answer');
  };
  return { ...documents, of: (tenant: string) => ({ ...documents.of(tenant), get }) };
}

test('a store of documents that does not answer is left alone after five failures', async () => {
  const breakers = createBreakers();
  const documents = failing('NETWORK');
  for (let n = 0; n < 5; n += 1) {
    await using run = await runJob(handler, {}, { documents, breakers });
    expect(run.outcome).toMatchObject({ state: 'retry', code: 'NETWORK' });
  }
  await using parked = await runJob(handler, {}, { documents, breakers });
  expect(parked.outcome).toMatchObject({ state: 'later', code: 'DEPENDENCY_DOWN' });
  expect(breakers.samples()).toEqual([{ name: 'documents', state: 2 }]);
});

test.each(['DOCUMENT_REFUSED', 'QUERY_TIMEOUT'] as const)('%s says nothing against the store', async (code) => {
  const breakers = createBreakers();
  for (let n = 0; n < 10; n += 1) {
    await using run = await runJob(handler, {}, { documents: failing(code), breakers });
    expect(run.outcome).toMatchObject({ code });
  }
  expect(breakers.samples()).toEqual([{ name: 'documents', state: 0 }]);
});
