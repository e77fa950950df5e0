import { describe, expect, it } from 'vitest';
import { portabilityProblem } from './portable.ts';

const nested = (levels: number): unknown => (levels === 0 ? 1 : { in: nested(levels - 1) });

describe('a payload that some store would change is refused', () => {
  it.each([
    ['NUL in text', { a: 'x\0y' }, 'NUL'],
    ['NUL in a key', { 'a\0': 1 }, 'NUL'],
    ['a lone surrogate', { a: '\ud800' }, 'surrogate'],
    ['a lone surrogate in a key', { '\udc00': 1 }, 'surrogate'],
    ['NaN', { a: Number.NaN }, 'finite'],
    ['Infinity', { a: [Number.POSITIVE_INFINITY] }, 'finite'],
    ['undefined', { a: undefined }, 'undefined'],
    [
      'undefined in an array',
      { a: Array.from({ length: 2 }, (_, index) => (index === 0 ? 1 : undefined)) },
      'undefined',
    ],
    ['a bigint', { a: 1n }, 'bigint'],
    ['a function', { a: () => 1 }, 'function'],
    ['a Buffer', { a: Buffer.from('x') }, 'Buffer'],
    ['a Date', { a: new Date(0) }, 'Date'],
    ['a Map', { a: new Map() }, 'Map'],
    ['a text', 'x', 'object'],
    ['an array', [], 'object'],
    ['null', null, 'object'],
    ['33 levels', nested(33), '32 levels'],
    ['1,001 keys', Object.fromEntries(Array.from({ length: 1_001 }, (_, key) => [`k${key}`, 1])), '1000 keys'],
    ['1,000 elements and their key', { a: Array.from({ length: 1_000 }, () => 1) }, '1000 keys'],
    ['more than 256 KiB', { a: 'x'.repeat(262_144) }, 'bytes'],
    ['__proto__', JSON.parse('{"a": {"__proto__": {"b": 1}}}'), '__proto__'],
  ])('%s', (_what, payload, words) => {
    expect(portabilityProblem(payload)).toContain(words);
  });

  it('names the place, shortened and without control characters', () => {
    expect(portabilityProblem({ list: [{ 'a\nb': 'x\0' }] })).toBe(
      'The payload at /list/0/a\\nb contains NUL (U+0000)',
    );
  });
});

describe('a payload every store gives back is accepted', () => {
  it.each([
    ['nothing', {}],
    ['32 levels', nested(32)],
    ['999 elements and their key', { a: Array.from({ length: 999 }, () => null) }],
    ['256 KiB less the frame', { a: 'x'.repeat(262_144 - 8) }],
    ['noncharacters, controls, emoji', { a: '\ufffe\uffff\u0001\u2028\u{1f600}\u202e' }],
    ['numbers at the edge', { a: [5e-324, Number.MAX_VALUE, Number.MAX_SAFE_INTEGER, 0.1, -0] }],
    ['an object without prototype', Object.assign(Object.create(null), { a: 1 })],
  ])('%s', (_what, payload) => {
    expect(portabilityProblem(payload)).toBeUndefined();
  });
});
