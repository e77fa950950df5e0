import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { mask } from '../runtime/mask.ts';
import { maskedPath, restoreMasked } from './masked-edit.ts';

const original = { to: 'ada@example.com', password: 'hunter22', list: [{ email: 'b@c.example' }, 'x'], n: 1 };

test('an unchanged edit is the original', () => {
  expect(restoreMasked(mask(original), original)).toEqual(original);
});

test('changes stay, masked neighbours are put back', () => {
  const edited = {
    to: 'a***@example.com',
    password: '[redacted]',
    list: [{ email: 'new@c.example' }, 'y'],
    n: 2,
    more: 1,
  };
  expect(restoreMasked(edited, original)).toEqual({ ...edited, to: original.to, password: original.password });
});

test('masked text that was never there is found by its path', () => {
  expect(maskedPath(restoreMasked({ to: 'z***@example.com' }, original))).toBe('to');
  expect(maskedPath({ a: [{ b: '[redacted]' }] })).toBe('a.0.b');
  expect(maskedPath('***')).toBe('data');
  expect(maskedPath({ a: '**', b: null, c: 3 })).toBeUndefined();
});

test('whatever the payload, saving it as shown changes nothing', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(restoreMasked(mask(value), value)).toEqual(value);
    }),
    { numRuns: 500, seed: 20_261_121 },
  );
});
