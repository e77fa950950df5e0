import { expect, test } from 'vitest';
import { mergeCollections } from './documents.ts';
import { memoryDocuments } from './documents-memory.ts';
import { answerCached, cacheClasses, type Question } from './result-cache.ts';

const question: Question = { topic: 'rankings', keep: 'medium', asked: { format: 'test' } };
const open = () => {
  const own = memoryDocuments(mergeCollections([])).of('-');
  let made = 0;
  const ask = (more: Partial<Question> = {}, isStill = true) =>
    answerCached(own, { ...question, ...more }, async () => ({
      answer: { made: (made += 1) },
      isStill: async () => isStill,
    }));
  return { own, ask };
};

test('has a class for 5 minutes, 30 minutes, an hour and a day, and one for statistics', () => {
  expect(Object.values(cacheClasses)).toEqual([60_000, 300_000, 1_800_000, 3_600_000, 86_400_000]);
});

test('answers each question once until its topic is dropped, and no other topic with it', async () => {
  const { own, ask } = open();
  expect([await ask(), await ask()]).toEqual([{ made: 1 }, { made: 1 }]);
  expect(await ask({ asked: { format: 'odi' } })).toEqual({ made: 2 });
  expect(await ask({ topic: 'news' })).toEqual({ made: 3 });
  await own.removePrefix('cache', 'rankings:');
  expect([await ask(), await ask({ topic: 'news' })]).toEqual([{ made: 4 }, { made: 3 }]);
});

test('does not keep what changed while it was made, nor what no document holds', async () => {
  const { own, ask } = open();
  expect([await ask({}, false), await ask()]).toEqual([{ made: 1 }, { made: 2 }]);
  const large = { answer: { text: 'x'.repeat(1_000_000) }, isStill: async () => true };
  await answerCached(own, { ...question, asked: 'large' }, async () => large);
  expect((await own.page('cache', {})).items).toHaveLength(1);
});
