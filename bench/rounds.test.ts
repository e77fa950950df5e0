import { expect, it } from 'vitest';
import { against, best, inTurn } from './rounds.ts';

it('lets another side begin each round', async () => {
  const order: string[] = [];
  const side = (name: string) => async () => {
    order.push(name);
    return { value: order.length };
  };
  const found = await inTurn(3, { a: side('a'), b: side('b') });
  expect(order.join('')).toBe('abbaab');
  expect(found).toEqual({
    a: [{ value: 1 }, { value: 4 }, { value: 5 }],
    b: [{ value: 2 }, { value: 3 }, { value: 6 }],
  });
});

it('puts the better setting of a side against another, round by round', () => {
  const better = best([{ value: 1 }, { value: 5 }], [{ value: 3, cpu: 2 }, { value: 4 }]);
  expect(against(better, [{ value: 2, cpu: 4 }, { value: 10 }])).toEqual([
    { ours: 3, theirs: 2, oursCpu: 2, theirsCpu: 4 },
    { ours: 5, theirs: 10, oursCpu: undefined, theirsCpu: undefined },
  ]);
});
