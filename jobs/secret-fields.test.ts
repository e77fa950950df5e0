import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { secret } from './define.ts';
import {
  hasPlainSecret,
  openFields,
  PlainSecretError,
  sealFields,
  secretFieldsOf,
  secretTexts,
} from './secret-fields.ts';

const lock = {
  seal: (text: string, field: string) => `${field}|${Buffer.from(text).toString('hex')}`,
  open: (sealed: string, field: string) => {
    expect(sealed.startsWith(`${field}|`)).toBe(true);
    return Buffer.from(sealed.slice(field.length + 1), 'hex').toString();
  },
};
const token = secret(z.string());

describe('secret fields', () => {
  it.each<[string, z.ZodType, string[]]>([
    ['an object', z.object({ token, name: z.string() }), ['token']],
    ['none', z.object({ name: z.string() }), []],
    ['inside', z.object({ a: z.object({ b: z.object({ token }) }) }), ['a.b.token']],
    ['optional and with a default', z.object({ a: token.optional(), b: token.nullable().default('x') }), ['a', 'b']],
    ['marked outside', z.object({ a: secret(z.string().optional()), b: secret(z.object({ c: token })) }), ['a', 'b']],
    ['with checks after the mark', z.object({ a: token.min(3).max(9).describe('a token') }), ['a']],
    [
      'lists and records',
      z.object({ a: z.array(z.object({ token })), b: z.record(z.string(), token) }),
      ['a.*.token', 'b.*'],
    ],
    ['tuples', z.object({ a: z.tuple([z.string(), token]) }), ['a.1']],
    ['a catch-all', z.object({ a: token, b: z.string() }).catchall(token), ['*']],
    ['unions', z.object({ a: z.union([z.object({ token }), z.object({ key: token })]) }), ['a.token', 'a.key']],
    ['pipes', z.object({ a: token.transform((text) => text.trim()).pipe(z.string()) }), ['a']],
    ['intersections', z.intersection(z.object({ a: token }), z.object({ b: z.string() })), ['a']],
    ['lazy ones', z.object({ a: z.lazy(() => z.object({ token })) }), ['a.token']],
    ['one covered by another', z.object({ a: z.union([token, z.object({ token })]) }), ['a']],
  ])('are found in %s', (_title, schema, expected) => {
    const { fields, problems } = secretFieldsOf(schema);
    expect(fields.map((field) => field.join('.'))).toEqual(expected);
    expect(problems).toEqual([]);
  });

  it('are refused where there is no end of them, and as the whole payload', () => {
    const node: z.ZodType = z.object({
      token,
      get children() {
        return z.array(node);
      },
    });
    expect(secretFieldsOf(z.object({ node })).problems).toEqual([expect.stringContaining('node contains itself')]);
    expect(secretFieldsOf(secret(z.object({ a: z.string() }))).problems).toEqual([
      expect.stringContaining('as a whole'),
    ]);
    const harmless: z.ZodType = z.object({
      get children() {
        return z.array(harmless);
      },
    });
    expect(secretFieldsOf(z.object({ harmless, token }))).toEqual({ fields: [['token']], problems: [] });
  });

  it('come back as they were, whatever they hold, and leave the rest alone', () => {
    const fields = [['token'], ['list', '*', 'token'], ['map', '*'], ['pair', '1']];
    const value = fc.jsonValue({ maxDepth: 2 });
    const payload = fc.record(
      {
        token: value,
        list: fc.array(fc.record({ token: value, other: value }, { requiredKeys: [] })),
        map: fc.dictionary(fc.string(), value),
        pair: fc.tuple(value, value),
        rest: value,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(payload, (given) => {
        const before = structuredClone(given);
        const sealed = sealFields(fields, given, lock);
        expect(given).toEqual(before);
        expect(hasPlainSecret(fields, sealed)).toBe(false);
        expect(JSON.stringify(openFields(fields, JSON.parse(JSON.stringify(sealed)), lock))).toBe(
          JSON.stringify(given),
        );
        for (const text of secretTexts(fields, { token: given.token }).filter((one) => one.length > 8))
          expect(JSON.stringify(sealFields(fields, { token: given.token }, lock))).not.toContain(text);
      }),
      { numRuns: 100 },
    );
  });

  it('that are not encrypted are refused, unless they are about to be', () => {
    expect(() => openFields([['a', '*']], { a: ['plain'] }, lock)).toThrow(PlainSecretError);
    expect(openFields([['a', '*']], { a: ['plain'] }, lock, { plain: true })).toEqual({ a: ['plain'] });
    expect(() => openFields([['a']], { a: { $enc: 'a|22', more: 1 } }, lock)).toThrow('payload.a is a secret');
  });

  it('stay what they are under names that objects know', () => {
    const payload: unknown = JSON.parse('{"__proto__":{"token":"x"},"constructor":"y"}');
    const sealed = sealFields([['*', 'token'], ['constructor']], payload, lock);
    expect(JSON.stringify(openFields([['*', 'token'], ['constructor']], sealed, lock))).toBe(JSON.stringify(payload));
    expect(JSON.stringify(sealed)).not.toContain('"x"');
  });
});
