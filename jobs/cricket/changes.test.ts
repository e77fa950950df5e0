import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Documents } from '../../runtime/documents.ts';
import { memoryDocuments } from '../../runtime/documents-memory.ts';
import matchAggregation from '../match-aggregation/job.ts';
import type { JobDocuments } from '../ports.ts';
import { changedSince, closeIntake, findIntake, inputsOf, noteChange, openIntake } from './changes.ts';

let store: Documents;
let documents: JobDocuments;
beforeEach(() => {
  store = memoryDocuments(matchAggregation.collections);
  const own = store.of('-');
  documents = {
    ...own,
    stream: async function* (collection, query) {
      yield* (await own.page(collection, { ...query, limit: 1_000 })).items;
    },
  };
});
afterEach(() => store.close());

it('answers the earliest day that changed since a version', async () => {
  expect(await changedSince(documents, 'odi/male', 0)).toEqual({ inputs: 0, from: undefined });
  for (const from of ['2024-05-01', '2024-03-01', '2024-04-01']) await noteChange(documents, 'odi/male', from);
  expect(await inputsOf(documents, 'odi/male')).toBe(3);
  expect(await changedSince(documents, 'odi/male', 1)).toEqual({ inputs: 3, from: '2024-03-01' });
  expect(await changedSince(documents, 'odi/male', 2)).toEqual({ inputs: 3, from: '2024-04-01' });
  expect(await changedSince(documents, 'odi/male', 3)).toEqual({ inputs: 3, from: undefined });
  expect(await changedSince(documents, 'odi/female', 0)).toEqual({ inputs: 0, from: undefined });
});

it('forgets old notes, and then says that everything may have changed', async () => {
  for (let at = 0; at < 60; at += 1) await noteChange(documents, 'test/male', '2024-05-01');
  expect(await changedSince(documents, 'test/male', 10)).toEqual({ inputs: 60, from: '2024-05-01' });
  expect(await changedSince(documents, 'test/male', 9)).toEqual({ inputs: 60, from: '' });
});

it('takes an open intake for a change, joined over all that opened it', async () => {
  const intake = { _id: 'abc', job: 'one', from: { 'odi/male': '2024-05-01' }, seasons: ['2024'] };
  await openIntake(documents, intake);
  await openIntake(documents, {
    ...intake,
    job: 'two',
    from: { 'odi/male': '2024-06-01', all: '2024-06-01' },
    seasons: ['2023/24'],
  });
  expect(await findIntake(documents, 'abc')).toMatchObject({
    job: 'two',
    from: { 'odi/male': '2024-05-01', all: '2024-06-01' },
    seasons: ['2023/24', '2024'],
  });
  expect(await changedSince(documents, 'odi/male', 0)).toEqual({ inputs: 0, from: '2024-05-01' });
  await closeIntake(documents, 'abc');
  expect(await changedSince(documents, 'odi/male', 0)).toEqual({ inputs: 0, from: undefined });
});

it('loses no note of two that come at once', async () => {
  await Promise.all(Array.from({ length: 20 }, (_, at) => noteChange(documents, 't20i/male', `2024-01-${at + 10}`)));
  expect(await changedSince(documents, 't20i/male', 0)).toEqual({ inputs: 20, from: '2024-01-10' });
});
