/** The three taxes of an Indian invoice by their labels; a row may name two of them. */
import { amountsOf } from './amount-words.ts';
import { fieldConfidence } from './confidence.ts';
import type { Field } from './document.ts';
import type { Row } from './totals.ts';
import type { Line } from './words.ts';

const names: readonly (readonly [string, RegExp])[] = [
  ['cgst_amount', /^\W*CGST\b/iu],
  ['sgst_amount', /^\W*(?:SGST|UTGST)\b/iu],
  ['igst_amount', /^\W*IGST\b/iu],
];
const anyName = /^\W*(?:[CSI]|UT)GST\b/iu;

/** By the names of `extracted_data`. A tax at several rates is the sum of them; said twice it counts once. */
export function findGstTaxes(rows: readonly Row[]): Readonly<Record<string, Field>> {
  const fields: Record<string, Field> = {};
  for (const [name, label] of names) {
    const found = rows.flatMap(({ line }) => amountAfter(line, label));
    const distinct = [...new Map(found.map((field) => [field.value, field])).values()];
    if (distinct.length === 0) continue;
    const value = Math.round(distinct.reduce((all, field) => all + field.value, 0) * 100) / 100;
    fields[name] = { value, confidence: Math.min(...distinct.map(({ confidence }) => confidence)) };
  }
  return fields;
}

/** The last amount before the next label: a rate with two decimals may stand before it. */
function amountAfter(line: Line, label: RegExp): (Field & { readonly value: number })[] {
  const from = line.words.findIndex(({ text }) => label.test(text));
  if (from < 0) return [];
  const next = line.words.findIndex(({ text }, index) => index > from && anyName.test(text));
  const to = next < 0 ? line.words.length : next;
  const amount = amountsOf(line).findLast(({ index }) => index > from && index < to);
  if (amount === undefined) return [];
  return [{ value: amount.amount.value, confidence: fieldConfidence(amount.words, 'exact', 'same_line') }];
}
