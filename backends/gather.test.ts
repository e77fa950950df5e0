import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gather } from './gather.ts';

/** A store that answers when told. */
function slowStore() {
  const batches: { readonly entries: readonly number[]; readonly lane: number; readonly answer: () => void }[] = [];
  const send = (entries: readonly number[], lane: number) =>
    new Promise<string[]>((resolve) => {
      batches.push({ entries, lane, answer: () => resolve(entries.map((entry) => `${entry}!`)) });
    });
  return { batches, send };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const light = { most: 10, mostWeight: 1_000, weigh: () => 1, lanes: 2 };

describe('gather', () => {
  it('lets a lone call leave at once', async () => {
    const { batches, send } = slowStore();
    const call = gather({ ...light, send });
    const answer = call(1);
    expect(batches).toHaveLength(1);
    batches[0]?.answer();
    expect(await answer).toBe('1!');
  });

  it('gathers what comes while an answer is awaited, until the turn ends', async () => {
    const { batches, send } = slowStore();
    const call = gather({ ...light, send });
    const answers = [call(1), call(2), call(3)];
    expect(batches.map(({ entries }) => entries)).toEqual([[1]]);
    await turn();
    expect(batches.map(({ entries }) => entries)).toEqual([[1], [2, 3]]);
    for (const { answer } of batches) answer();
    expect(await Promise.all(answers)).toEqual(['1!', '2!', '3!']);
  });

  it('fills a batch without waiting for the end of the turn, and keeps to its lanes', async () => {
    const { batches, send } = slowStore();
    const call = gather({ ...light, most: 3, send });
    const answers = Array.from({ length: 9 }, (_, index) => call(index));
    expect(batches.map(({ entries }) => entries)).toEqual([[0], [1, 2, 3]]);
    await turn();
    expect(batches).toHaveLength(2);
    batches[0]?.answer();
    await expect.poll(() => batches.map(({ entries }) => entries)).toEqual([[0], [1, 2, 3], [4, 5, 6]]);
    expect(batches[2]?.lane).toBe(batches[0]?.lane);
    batches[1]?.answer();
    batches[2]?.answer();
    await expect.poll(() => batches.length).toBe(4);
    batches[3]?.answer();
    expect(await Promise.all(answers)).toHaveLength(9);
  });

  it('ends a batch at its weight; one heavier entry leaves alone', async () => {
    const { batches, send } = slowStore();
    const call = gather({ ...light, lanes: 1, mostWeight: 10, weigh: (entry: number) => entry, send });
    const answers = [4, 6, 4, 50, 1].map((weight) => call(weight));
    const done: number[][] = [];
    while (done.flat().length < 5) {
      await expect.poll(() => batches.length).toBe(done.length + 1);
      const last = batches.at(-1);
      done.push([...(last?.entries ?? [])]);
      last?.answer();
    }
    expect(done).toEqual([[4], [6, 4], [50], [1]]);
    await Promise.all(answers);
  });

  it('rejects one entry by its own error, all of a batch by the error of the call, and goes on', async () => {
    let round = 0;
    const call = gather<number, string>({
      ...light,
      send: (entries) => {
        round += 1;
        if (round === 2) return Promise.reject(new Error('no store'));
        return Promise.resolve(entries.map((entry) => (entry < 0 ? new Error(`not ${entry}`) : `${entry}!`)));
      },
    });
    await expect(call(-1)).rejects.toThrow('not -1');
    await expect(call(1)).rejects.toThrow('no store');
    expect(await call(2)).toBe('2!');
  });

  it('answers each of any number of calls exactly once, in any pattern (200 random ones)', async () => {
    const patterns = fc.array(fc.nat(30), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(
        patterns,
        fc.integer({ min: 1, max: 7 }),
        fc.integer({ min: 1, max: 3 }),
        async (bursts, most, lanes) => {
          let largest = 0;
          let underWay = 0;
          const call = gather<number, number>({
            ...light,
            most,
            lanes,
            send: async (entries) => {
              underWay += 1;
              largest = Math.max(largest, entries.length);
              expect(underWay).toBeLessThanOrEqual(lanes);
              await turn();
              underWay -= 1;
              return entries.map((entry) => entry * 2);
            },
          });
          const answers: Promise<number>[] = [];
          for (const burst of bursts) {
            for (let index = 0; index < burst; index += 1) answers.push(call(answers.length));
            await turn();
          }
          expect(await Promise.all(answers)).toEqual(answers.map((_, index) => index * 2));
          expect(largest).toBeLessThanOrEqual(most);
        },
      ),
      { numRuns: 200 },
    );
  });
});
