/** The documents of TEST_DATA, and how far a text is from its gold text. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { inputsOf, sharedData, sharedEntries } from './shared-data.ts';

/** What an e-invoice says, as the manifest has it. */
const xmlFacts = z.object({
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
const facts = z.looseObject({
  gold: z.string().optional(),
  cer_psm1: z.number().optional(),
  xml: xmlFacts.optional(),
});

export interface DocumentEntry {
  readonly file: string;
  readonly type: 'document' | 'invoice' | 'receipt';
  readonly facts: z.output<typeof facts>;
}

/** These two are invoices that are no such thing. */
const plain = ['invoices/helloworld-bad.pdf', 'invoices/no_contents.pdf', 'invoices/pdflatex-4-pages.pdf'];

function typeOf(file: string): DocumentEntry['type'] {
  if (file.startsWith('receipts/')) return 'receipt';
  return file.startsWith('invoices/') && !plain.includes(file) ? 'invoice' : 'document';
}

/** Empty where the data is not. */
export const documentEntries: readonly DocumentEntry[] = inputsOf('document-ocr').map((file) => {
  const said: unknown = sharedEntries.find((one) => one.file === file)?.facts;
  const own = file.endsWith('.xml') ? { xml: said } : said;
  return { file, type: typeOf(file), facts: facts.parse(own) };
});

/** The character error rate of the bare program is known. */
export function isPage({ facts: { cer_psm1: rate } }: DocumentEntry): boolean {
  return rate !== undefined;
}

export function goldOf({ file, facts: { gold = '' } }: DocumentEntry): string {
  return file === 'ocr/linn.png' ? readFileSync(join(sharedData, 'ocr/linn.txt'), 'utf8') : gold;
}

/** The share of characters that may be wrong: that of the bare program in its page mode 1, and 0.02. */
export function allowedErrors({ file, facts: { cer_psm1: rate = 0 } }: DocumentEntry): number {
  // The manifest read this one without its EXIF orientation.
  return (file === 'ocr/simple-90.jpg' ? 0 : rate) + 0.02;
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
