import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { openSource } from '../jobs/document-ocr/source.ts';
import { mask, maskText } from './mask.ts';
import { isAadhaar, isCard, isGstin, isIban, isPan } from './mask-checks.ts';

const folder = process.env['TEST_DATA'] ?? '../shared/data';
const refused = z.array(z.union([z.string(), z.tuple([z.string(), z.string()])]));
const valid = z.array(z.string());
const { pii } = z
  .object({
    pii: z.object({
      seed: z.object({ examples: z.array(z.object({ field: z.string(), in: z.string(), out: z.string() })) }),
      gstin: z.object({ valid, invalid: refused, pan_inside: z.record(z.string(), z.string()) }),
      pan: z.object({ valid, invalid: refused }),
      aadhaar: z.object({ valid, invalid: refused }),
      card: z.object({ valid, invalid: refused }),
      iban: z.object({ valid, invalid: refused }),
      ifsc: z.object({ valid, invalid: refused }),
      phone: z.object({ cases: z.array(z.tuple([z.string(), z.string(), z.string()])) }),
      must_stay_readable: z.object({ values: z.array(z.tuple([z.string(), z.string()])) }),
    }),
  })
  .parse(JSON.parse(readFileSync(join(folder, 'domain-examples.json'), 'utf8')));

const digitsOf = (text: string): string => text.replaceAll(/\D/g, '');
const lastFour = (text: string): string => text.replaceAll(/[^A-Za-z0-9]/g, '').slice(-4);

describe('numbers of the shared examples', () => {
  const kinds = [
    { name: 'gstin', check: isGstin, ...pii.gstin },
    { name: 'pan', check: isPan, ...pii.pan },
    { name: 'aadhaar', check: (text: string) => isAadhaar(digitsOf(text)), ...pii.aadhaar },
    { name: 'card', check: (text: string) => isCard(digitsOf(text)), ...pii.card },
    { name: 'iban', check: isIban, ...pii.iban },
  ];
  test.each(kinds)('$name: valid ones are recognised, invalid ones are not', ({ check, valid, invalid }) => {
    expect(valid.filter((text) => !check(text))).toEqual([]);
    expect(
      invalid.map((entry) => (typeof entry === 'string' ? entry : entry[0])).filter((text) => check(text)),
    ).toEqual([]);
  });

  test.each(kinds)('$name: hidden in a sentence and under its own key', ({ name, valid }) => {
    for (const text of valid) {
      const masked = maskText(`The ${name} is ${text}, thanks.`);
      expect(masked).not.toContain(text);
      expect(masked.replaceAll(/[^A-Za-z0-9]/g, '')).toContain(lastFour(text));
      expect(JSON.stringify(mask({ [name]: text }))).not.toContain(text);
    }
  });

  test('a masked GSTIN hides the PAN inside it', () => {
    for (const [gstin, pan] of Object.entries(pii.gstin.pan_inside)) expect(maskText(gstin)).not.toContain(pan);
  });

  test('the examples of the source, by field name', () => {
    for (const { field, in: given, out } of pii.seed.examples)
      expect(mask({ [field]: given })).toEqual({ [field]: out });
  });

  test('IFSC: hidden behind a word that tells and under its own key, and no other word of letters and digits', () => {
    for (const code of pii.ifsc.valid) {
      for (const said of [`IFSC ${code}.`, `IFSC CODE\n${code}`, `Bank: HDFC, ${code}`]) {
        expect(maskText(said)).not.toContain(code);
        expect(maskText(said)).toContain(code.slice(-4));
      }
      expect(mask({ ifsc_code: code })).toEqual({ ifsc_code: `*******${code.slice(-4)}` });
      expect(maskText(`invoice ${code}`)).toContain(code);
    }
    for (const entry of pii.ifsc.invalid) expect(maskText(`IFSC ${String(entry)}`)).toBe(`IFSC ${String(entry)}`);
  });

  test('phones behind a key word', () => {
    for (const [text] of pii.phone.cases) expect(digitsOf(maskText(`phone: ${text}`))).toHaveLength(4);
  });
});

test('the text of a real receipt: account, IFSC, GSTIN, phone and mail are hidden, the rest is as it was', async () => {
  const source = await openSource(await readFile(join(folder, 'invoices/oyo.pdf')), 'document');
  const text = Array.from({ length: source.pageCount }, (_, index) => source.textOf(index)?.read.text ?? '').join('\n');
  const hidden = [
    ['00030340067212', '**********7212'],
    ['HDFC0000003', '*******0003'],
    ['06AABCO6063D1ZQ', '***********D1ZQ'],
    ['080 100 444 66', '*** *** *44 66'],
    ['contactus@oyorooms.com', 'c***@oyorooms.com'],
  ] as const;
  let expected = text;
  for (const [value, shown] of hidden) {
    expect(text).toContain(value);
    expected = expected.replaceAll(value, shown);
  }
  expect(maskText(text)).toBe(expected);
});

test('what must stay readable does', () => {
  for (const [text] of pii.must_stay_readable.values) {
    expect(maskText(text)).toBe(text);
    expect(maskText(`see ${text} there`)).toBe(`see ${text} there`);
    expect(mask({ id: text })).toEqual({ id: text });
  }
});

test('every minute of a day written YYYYMMDDHHMM stays readable', () => {
  for (let minute = 0; minute < 1_440; minute += 1) {
    const text = `20261121${String(Math.floor(minute / 60)).padStart(2, '0')}${String(minute % 60).padStart(2, '0')}`;
    expect(maskText(`at ${text}`)).toBe(`at ${text}`);
  }
});
