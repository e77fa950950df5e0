/** Totals, taxes and what was paid, from the lines of a document. */

import { type AmountAt, amountsOf, labelEnd } from './amount-words.ts';
import { settle } from './amounts.ts';
import { type Evidence, fieldConfidence } from './confidence.ts';
import type { Field } from './document.ts';
import * as labels from './labels.ts';
import type { Line } from './words.ts';

export interface Row {
  readonly line: Line;
  readonly amounts: readonly AmountAt[];
}

interface Candidate {
  readonly field: Field & { readonly value: number };
  readonly rank: 2 | 3;
}

export interface Totals {
  readonly fields: Readonly<Record<string, Field>>;
  /** Whether the document says the total in more ways than one, and whether they agree; undefined when it says it once. */
  readonly agreed: boolean | undefined;
}

const cents = (value: number): number => Math.round(value * 100);

/** Ambiguous amounts are settled by the other amounts of the document. */
export function rowsOf(lines: readonly Line[]): Row[] {
  const rows = lines.map((line) => ({ line, amounts: amountsOf(line) }));
  const all = rows.flatMap(({ amounts }) => amounts.map(({ amount }) => amount));
  return rows.map(({ line, amounts }) => ({
    line,
    amounts: amounts.map((one) => ({ ...one, amount: settle(one.amount, all) })),
  }));
}

function fieldOf({ amount, words }: AmountAt, evidence: Evidence): Field & { readonly value: number } {
  const told: Evidence = amount.isAmbiguous ? 'ambiguous' : evidence;
  return { value: amount.value, confidence: fieldConfidence(words, 'exact', told) };
}

/** The first amount to the right of the label, else the one below it. */
function valueOf(
  rows: readonly Row[],
  index: number,
  label: RegExp,
): { readonly at: AmountAt; readonly evidence: Evidence } | undefined {
  const row = rows[index];
  if (row === undefined) return undefined;
  const end = labelEnd(row.line, label);
  const right = end === undefined ? undefined : row.amounts.find((one) => one.index > end);
  if (right !== undefined) return { at: right, evidence: 'same_line' };
  // A label on a line of its own.
  const below = rows[index + 1];
  if (row.amounts.length > 0 || below === undefined || below.amounts.length !== 1) return undefined;
  const [only] = below.amounts;
  return only === undefined || below.line.words.length > 2 ? undefined : { at: only, evidence: 'above' };
}

export function findTotals(rows: readonly Row[]): Totals {
  const end = rows.findIndex(({ line }) => labels.taxSummary.test(line.text));
  const body = end < 0 ? rows : rows.slice(0, end);
  const candidates = body.flatMap((_, index) => candidateOf(body, index));
  const chosen = best(candidates);
  const due = firstOf(rows, labels.amountDue);
  const total = chosen?.field ?? due;
  const net = netOf(rows, total?.value);
  const taxField = taxOf(rows, net?.value, total?.value);
  const fields = { total_amount: total, amount_due: due, net_amount: net, tax_amount: taxField };
  return {
    fields: Object.fromEntries(
      Object.entries(fields).flatMap(([name, field]) => (field === undefined ? [] : [[name, field]])),
    ),
    agreed: chosen === undefined ? undefined : agreement(chosen, candidates, rows),
  };
}

function candidateOf(rows: readonly Row[], index: number): Candidate[] {
  const text = rows[index]?.line.text ?? '';
  if (labels.noTotal.test(text)) return [];
  if (labels.grandTotal.test(text)) {
    const found = valueOf(rows, index, labels.grandTotal);
    return found === undefined ? [] : [{ field: fieldOf(found.at, found.evidence), rank: 3 }];
  }
  if (!labels.anyTotal.test(text) || (labels.taxTotal.test(text) && !labels.inclusive.test(text))) return [];
  const amounts = rows[index]?.amounts ?? [];
  const last = amounts.at(-1);
  // Several columns have a foot each; the whole stands last, as far as one can tell.
  if (amounts.length > 1 && last !== undefined) return [{ field: fieldOf(last, 'ambiguous'), rank: 2 }];
  const found = valueOf(rows, index, labels.anyTotal);
  return found === undefined ? [] : [{ field: fieldOf(found.at, found.evidence), rank: 2 }];
}

/** The strongest label; of several the surest reading of the value that most of them give. */
function best(candidates: readonly Candidate[]): Candidate | undefined {
  const rank = Math.max(...candidates.map((one) => one.rank));
  const strong = candidates.filter((one) => one.rank === rank && one.field.value !== 0);
  const votes = (one: Candidate): number =>
    candidates.filter((other) => cents(other.field.value) === cents(one.field.value)).length;
  return strong.toSorted((a, b) => votes(b) - votes(a) || b.field.confidence - a.field.confidence)[0];
}

/** Said twice and equal, or cash less change, is as good as a check; two totals that differ are none. */
function agreement(chosen: Candidate, candidates: readonly Candidate[], rows: readonly Row[]): boolean | undefined {
  const total = cents(chosen.field.value);
  const others = candidates.filter((one) => one !== chosen && one.field.value !== 0);
  const same = others.filter((one) => cents(one.field.value) === total).length;
  const different = others.filter((one) => cents(one.field.value) !== total).length;
  if (different > 0 && same <= different) return false;
  if (same > 0) return true;
  const paid = firstOf(rows, labels.cash)?.value;
  const back = firstOf(rows, labels.change)?.value;
  if (paid === undefined) return undefined;
  // What cannot be read proves nothing against the total.
  return cents(paid) === total || (back !== undefined && cents(paid) - cents(back) === total) ? true : undefined;
}

function firstOf(rows: readonly Row[], label: RegExp): (Field & { readonly value: number }) | undefined {
  for (const [index, { line }] of rows.entries()) {
    if (!label.test(line.text)) continue;
    const found = valueOf(rows, index, label);
    if (found !== undefined) return fieldOf(found.at, found.evidence);
  }
  return undefined;
}

/** "Subtotal" says net or gross; where it equals the total it adds nothing. */
function netOf(rows: readonly Row[], total: number | undefined): (Field & { readonly value: number }) | undefined {
  const explicit = firstOf(rows, labels.netExplicit);
  if (explicit !== undefined) return explicit;
  const before = firstOf(rows, labels.subtotal);
  const taxes = rows.some(({ line }) => labels.tax.test(line.text));
  return before !== undefined && (before.value !== total || taxes) ? before : undefined;
}

/** The one tax line there is, or the one that makes net and total agree. */
function taxOf(rows: readonly Row[], net: number | undefined, total: number | undefined): Field | undefined {
  const found = rows.flatMap(({ line, amounts }) => {
    if (!labels.tax.test(line.text) || labels.noTax.test(line.text)) return [];
    const end = labelEnd(line, labels.tax) ?? 0;
    const right = amounts.find((one) => one.index > end);
    return right === undefined ? [] : [fieldOf(right, 'same_line')];
  });
  if (net !== undefined && total !== undefined) {
    const fitting = found.find(({ value }) => Math.abs(cents(net) + cents(value) - cents(total)) <= 1);
    if (fitting !== undefined) return fitting;
    const halves = found.filter((one, index) => found.findIndex((other) => other.value === one.value) !== index);
    const both = halves.find(({ value }) => Math.abs(cents(net) + 2 * cents(value) - cents(total)) <= 1);
    if (both !== undefined) return { value: Math.round(both.value * 200) / 100, confidence: both.confidence };
  }
  return found.length === 1 ? found[0] : undefined;
}
