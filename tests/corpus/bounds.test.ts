import { expect, it } from 'vitest';
import { corpora } from './bounds.ts';

const all = Object.values(corpora);

it('adds up to the cases of bad input that are wanted, within six minutes in all', () => {
  expect(all.reduce((sum, { cases }) => sum + cases, 0)).toBeGreaterThanOrEqual(1_050);
  expect(all.reduce((sum, { withinMs }) => sum + withinMs, 0)).toBeLessThanOrEqual(360_000);
});
