/** The documents of TEST_DATA, and how far a text is from its gold text. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';

export const documentData = resolve(process.env['TEST_DATA'] ?? '../shared/data');
const manifest = join(documentData, 'manifest.json');

/** What an e-invoice says, as the manifest has it. */
export const xmlFacts = z.object({
  number: z.string(),
  date: z.string(),
  currency: z.string(),
  net: z.number(),
  tax: z.number().optional(),
  gross: z.number(),
  due: z.number().optional(),
  lines: z.number(),
  sum_of_lines: z.number(),
});
const schema = z.object({
  entries: z.array(
    z.object({
      file: z.string(),
      facts: z
        .looseObject({ gold: z.string().optional(), cer_psm1: z.number().optional(), xml: xmlFacts.optional() })
        .nullable(),
    }),
  ),
});
export type DocumentEntry = z.output<typeof schema>['entries'][number];

/** All of the manifest; empty where the data is not. */
export const documentEntries: readonly DocumentEntry[] = existsSync(manifest)
  ? schema.parse(JSON.parse(readFileSync(manifest, 'utf8'))).entries
  : [];

export function goldOf({ file, facts }: DocumentEntry): string {
  return file === 'ocr/linn.png' ? readFileSync(join(documentData, 'ocr/linn.txt'), 'utf8') : (facts?.gold ?? '');
}

/** The share of characters that may be wrong: that of the bare program in its page mode 1, and 0.02. */
export function allowedErrors({ file, facts }: DocumentEntry): number {
  // The manifest read this one without its EXIF orientation.
  return (file === 'ocr/simple-90.jpg' ? 0 : (facts?.cer_psm1 ?? 0)) + 0.02;
}

/** Character errors (Levenshtein) for each character of the gold text; runs of white space are one. */
export function errorRate(text: string, gold: string): number {
  const [a, b] = [text, gold].map((one) => one.replaceAll(/\s+/g, ' ').trim());
  if (a === undefined || b === undefined || b === '') return 1;
  let before = Uint32Array.from({ length: a.length + 1 }, (_, place) => place);
  for (let row = 1; row <= b.length; row += 1) {
    const now = new Uint32Array(a.length + 1);
    now[0] = row;
    for (let column = 1; column <= a.length; column += 1) {
      const change = (before[column - 1] ?? 0) + (a[column - 1] === b[row - 1] ? 0 : 1);
      now[column] = Math.min(change, (before[column] ?? 0) + 1, (now[column - 1] ?? 0) + 1);
    }
    before = now;
  }
  return (before.at(-1) ?? 0) / b.length;
}
