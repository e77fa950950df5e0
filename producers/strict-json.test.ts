import { assert, jsonValue, property } from 'fast-check';
import { expect, test } from 'vitest';
import { readStrictJson } from './strict-json.ts';

const read = (text: string): unknown => readStrictJson(new TextEncoder().encode(text));

test('reads what JSON.parse reads, when it comes back unchanged', () => {
  assert(
    property(jsonValue({ maxDepth: 8 }), (value) => {
      const text = JSON.stringify(value);
      let seen: unknown;
      try {
        seen = read(text);
      } catch {
        // Refused: only for what this reader promises to refuse.
        return /__proto__|\\u0000|\\ud[89ab]|\d{16}|e[+-]?\d|constructor/i.test(text) || text.length > 2_000;
      }
      return JSON.stringify(seen) === text;
    }),
    { numRuns: 2_000 },
  );
});

test.each([
  ['{"a":[1,2,{"b":null}],"c":"\\u00e9\\n","d":-1.5e3,"e":1e-7,"f":9007199254740991,"g":0}'],
  ['  [ ]  '],
  ['"\\ud83d\\ude00"'],
  ['{"constructor":"Acme","prototype":1}'],
  ['[0.1,0.0,100000000000000000000.5]'],
  [`${'['.repeat(32)}${']'.repeat(32)}`],
])('accepts %s', (text) => {
  expect(read(text)).toEqual(JSON.parse(text));
});

test.each([
  ['{"a":1,"\\u0061":2}', 'MALFORMED'],
  ['{"a":{"b":1,"b":2}}', 'MALFORMED'],
  ['{"__proto__":1}', 'MALFORMED'],
  ['{"constructor":{"prototype":1}}', 'MALFORMED'],
  ['"\\u0000"', 'MALFORMED'],
  ['"\\ud800"', 'MALFORMED'],
  ['1e400', 'MALFORMED'],
  ['-0', 'MALFORMED'],
  ['1e-400', 'MALFORMED'],
  ['9007199254740993', 'MALFORMED'],
  ['{} {}', 'MALFORMED'],
  ['', 'MALFORMED'],
  ['\uFEFF{}', 'MALFORMED'],
  [`${'['.repeat(33)}${']'.repeat(33)}`, 'TOO_DEEP'],
  [`[${Array.from({ length: 1_002 }, () => 1).join(',')}]`, 'TOO_DEEP'],
])('refuses %s', (text, code) => {
  expect(() => read(text)).toThrow(expect.objectContaining({ code }));
});

test('is linear: 256 KB of hostile text take milliseconds (P16)', () => {
  const pieces = ['[', '{"a":', '"\\', '"a', '"a"', '1', '1e', '-', ',', '\\"', '"\\u', '{"', ' '];
  const slow = pieces.filter((piece) => {
    const text = piece.repeat(Math.ceil(262_144 / piece.length));
    const before = process.cpuUsage();
    expect(() => read(text)).toThrow(expect.objectContaining({ name: 'ProducerError' }));
    return process.cpuUsage(before).user > 250_000;
  });
  expect(slow).toEqual([]);
});
