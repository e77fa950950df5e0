import { describe, expect, it } from 'vitest';
import { rateOf, readOptions, UsageError } from './options.ts';
import type { Scenario } from './scenario.ts';

const scenario = (stores: Scenario['stores'], rate?: number): Scenario => ({
  title: 'nothing happens',
  stores,
  load: rate === undefined ? {} : { rate },
  inject: () => Promise.resolve(),
});
const known = new Map([
  ['F01', scenario(['redis', 'postgres'])],
  ['F02', scenario(['redis'], 5)],
]);
const read = (...args: string[]) => {
  const options = readOptions(args, known);
  if ('folder' in options) throw new Error('expected rows');
  return options;
};
const rowsOf = (...args: string[]) => read(...args).rows.map(({ name, store }) => `${name} ${store}`);

describe('the question', () => {
  it('chooses every row, or those of names and stores', () => {
    expect(rowsOf()).toEqual(['F01 redis', 'F01 postgres', 'F02 redis']);
    expect(rowsOf('f02')).toEqual(['F02 redis']);
    expect(rowsOf('f01:postgres', 'f02')).toEqual(['F01 postgres', 'F02 redis']);
    expect(rowsOf('--store', 'postgres')).toEqual(['F01 postgres']);
  });

  it('sets the rate where the scenario leaves it open', () => {
    const [first, , second] = read('--rate', '150').rows;
    expect(first && rateOf({ rate: 150 }, first)).toBe(150);
    expect(second && rateOf({ rate: 150 }, second)).toBe(5);
  });

  it.each([
    [['--store', 'typo'], 'There is no store typo; there are: redis, postgres, embedded.'],
    [['F99'], 'There is no scenario F99; there are: F01, F02.'],
    [['F02', '--store', 'postgres'], 'F02 runs on redis, not on postgres.'],
    [['f02:typo'], 'F02 runs on redis, not on typo.'],
    [['--seconds', 'ten'], '--seconds expects a whole number from 1 on, got "ten".'],
    [['--rate', '0'], '--rate expects a whole number from 1 on, got "0".'],
    [['--rate', '600', '--seconds', '30'], 'at most 9500 can be judged'],
    [['--wrong'], "Unknown option '--wrong'"],
    [['table'], 'Expected one folder of results'],
    [['F01', '--write', 'x.md'], '--write belongs to `table`.'],
  ])('%j is answered with a sentence', (args, sentence) => {
    expect(() => readOptions(args, known)).toThrow(UsageError);
    expect(() => readOptions(args, known)).toThrow(sentence);
  });
});
