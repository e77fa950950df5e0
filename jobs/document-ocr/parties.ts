/** Who wrote the document, where they are, and in which currency. */
import { cellsOf, overlaps, textOf } from './amount-words.ts';
import { currencyOf } from './amounts.ts';
import { type Evidence, fieldConfidence } from './confidence.ts';
import type { Field } from './document.ts';
import * as labels from './labels.ts';
import type { Row } from './totals.ts';
import { type Line, meanConfidence, type Word } from './words.ts';

const linesLooked = 14;

/** A company's form names it; a registration number under a name does so too; else the first name on the page. */
export function findSeller(lines: readonly Line[]): Field | undefined {
  const formed = cellWith(lines, (text) => labels.companyForm.test(text), Number.POSITIVE_INFINITY);
  const above = lines.findIndex(
    (line, index) => index > 0 && index < linesLooked && labels.registration.test(line.text),
  );
  const registered = above > 0 ? nameField(lines[above - 1]?.words ?? [], 'above') : undefined;
  const named = formed === undefined ? registered : nameField(upToForm(formed), 'same_line');
  if (named !== undefined) return named;
  const first = cellWith(lines, (text) => !labels.noName.test(text), linesLooked);
  return first === undefined ? undefined : nameField(first, 'alone');
}

function cellWith(
  lines: readonly Line[],
  isWanted: (text: string) => boolean,
  most: number,
): readonly Word[] | undefined {
  for (const [index, line] of lines.entries()) {
    if (index >= most) return undefined;
    for (const cell of cellsOf(line)) {
      const clean = cleaned(cell);
      if (clean.length === 0 || textOf(clean).replaceAll(/[^\p{L}]/gu, '').length < 3) continue;
      if (
        !isWanted(textOf(clean)) ||
        /\d[.,]\d{2}\b/.test(textOf(clean)) ||
        isBuyers(lines, index, cell) ||
        labels.noName.test(textOf(clean))
      )
        continue;
      return clean;
    }
  }
  return undefined;
}

/** Named as the buyer on its line, or in the column below a heading that does. */
function isBuyers(lines: readonly Line[], index: number, cell: readonly Word[]): boolean {
  if (labels.buyer.test(textOf(cell))) return true;
  const line = lines[index];
  const [left] = line === undefined ? [] : cellsOf(line).filter((other) => other !== cell && isHeading(other));
  if (left !== undefined && (left[0]?.box.left ?? 0) < (cell[0]?.box.left ?? 0)) return true;
  return [1, 2, 3].some((up) => {
    const above = lines[index - up];
    return above !== undefined && cellsOf(above).some((other) => isHeading(other) && overlaps(other, cell));
  });
}

/** "Bill to:" with nothing behind it. */
function isHeading(cell: readonly Word[]): boolean {
  const match = labels.buyer.exec(textOf(cell));
  return (
    match !== null &&
    textOf(cell)
      .slice(match.index + match[0].length)
      .replaceAll(/[^\p{L}]/gu, '').length < 8
  );
}

/** What follows a company's form is no part of its name, unless in brackets: "SDN BHD (JALAN KLANG LAMA)". */
function upToForm(words: readonly Word[]): readonly Word[] {
  const match = labels.companyForm.exec(textOf(words));
  if (match === null) return words;
  const rest = textOf(words)
    .slice(match.index + match[0].length)
    .trim();
  if (rest === '' || rest.startsWith('(')) return words;
  return words.slice(
    0,
    textOf(words)
      .slice(0, match.index + match[0].length)
      .trim()
      .split(' ').length,
  );
}

const unreadable = 0.3;

/** Without specks at its ends and without the registration number behind it. */
function cleaned(words: readonly Word[]): readonly Word[] {
  const isSpeck = (word: Word | undefined): boolean =>
    word !== undefined && (word.confidence < unreadable || !/[\p{L}\d]/u.test(word.text));
  let from = 0;
  let to = words.length;
  while (from < to && isSpeck(words[from])) from += 1;
  while (to > from && isSpeck(words[to - 1])) to -= 1;
  const kept = words.slice(from, to);
  const text = textOf(kept);
  const number = /\s\(?\d{5,12}\s*-?\s*[A-Z]\)?$/u.exec(text);
  if (number === null) return kept;
  const left = text.slice(0, number.index).split(' ').length;
  return kept.slice(0, left);
}

function nameField(words: readonly Word[], evidence: Evidence): Field | undefined {
  const clean = cleaned(words);
  if (clean.length === 0) return undefined;
  return { value: textOf(clean).slice(0, 200), confidence: fieldConfidence(clean, 'words', evidence) };
}

/** The cells under the seller's name, until something that is no address. */
export function findAddress(lines: readonly Line[], seller: Field | undefined): Field | undefined {
  if (seller === undefined) return undefined;
  const start = lines.findIndex((line) => line.text.includes(String(seller.value)));
  const name =
    lines[start] === undefined
      ? undefined
      : cellsOf(lines[start]).find((cell) => textOf(cell).includes(String(seller.value)));
  if (name === undefined) return undefined;
  const words: Word[] = [];
  for (const line of lines.slice(start + 1, start + 8)) {
    const below = cellsOf(line)
      .filter((cell) => overlaps(name, cell))
      .flat();
    const text = textOf(below);
    if (labels.registration.test(text) || (words.length === 0 && !/\d/.test(text))) continue;
    if (labels.contact.test(text) || below.length === 0) break;
    words.push(...below);
  }
  const value = textOf(words).slice(0, 300);
  return words.length < 3 ? undefined : { value, confidence: fieldConfidence(words, 'words', 'alone') };
}

/** A sign beside an amount, in a heading, or what the issuer's country says. `agreed`: sign and country say the same. */
export function findCurrency(rows: readonly Row[]): { readonly field: Field; readonly agreed: boolean } | undefined {
  const whole = rows.map(({ line }) => line.text).join('\n');
  const country = /\bS[DO]N\.?\s+BHD\b|Kuala Lumpur|Selangor|Johor/iu.test(whole)
    ? 'MYR'
    : /\bGSTIN\b/.test(whole)
      ? 'INR'
      : undefined;
  const found = new Map<string, Field>();
  for (const { line, amounts } of rows) {
    for (const word of line.words) {
      const code = currencyOf(word.text);
      if (code === undefined || (code === 'USD' && !/USD|US\$/.test(word.text) && country !== undefined)) continue;
      const isBareDollar =
        code === 'USD' && !/USD|US\$/.test(word.text) && !/US Dollars|United States|\b[A-Z]{2} \d{5}\b/.test(whole);
      const evidence: Evidence = isBareDollar ? 'alone' : amounts.length > 0 ? 'same_line' : 'above';
      const field = { value: code, confidence: fieldConfidence([word], 'exact', evidence) };
      const before = found.get(code);
      if (before === undefined || before.confidence < field.confidence) found.set(code, field);
    }
  }
  const [best] = [...found.values()].toSorted((a, b) => b.confidence - a.confidence);
  if (best !== undefined) return { field: best, agreed: best.value === country };
  if (country === undefined) return undefined;
  const mean = meanConfidence(rows.flatMap(({ line }) => line.words)) ?? 0;
  return {
    field: { value: country, confidence: fieldConfidence([{ confidence: mean }], 'exact', 'alone') },
    agreed: false,
  };
}

const gstin = /\b(?:0[1-9]|[12]\d|3[0-8]|97|99)[A-Z]{5}\d{4}[A-Z][1-9A-Z]Z[0-9A-Z]\b/u;
const vat = /\b(?:NL\d{9}B\d{2}|DE\d{9}|FR[0-9A-Z]{2}\d{9}|PL\d{10}|ATU\d{8}|BE0\d{9})\b/u;

export interface TaxIds {
  readonly seller?: Field | undefined;
  readonly buyer?: Field | undefined;
}

interface TaxId extends Field {
  readonly isGstin: boolean;
  readonly isBuyers: boolean;
}

/** GSTINs and European VAT numbers. The seller's is the first that is not named as the buyer's; of two GSTINs the other one is the buyer's. */
export function findTaxIds(lines: readonly Line[]): TaxIds {
  const all = lines.flatMap((line, index) => taxIdsOf(lines, line, index));
  const seller = all.find(({ isBuyers }) => !isBuyers);
  const others = all.filter(({ isGstin, value }) => isGstin && value !== seller?.value);
  const named = others.find(({ isBuyers }) => isBuyers);
  const field = (found: TaxId | undefined): Field | undefined =>
    found && { value: found.value, confidence: found.confidence };
  return { seller: field(seller), buyer: field(named ?? (seller?.isGstin === true ? others[0] : undefined)) };
}

function taxIdsOf(lines: readonly Line[], line: Line, index: number): TaxId[] {
  let label = '';
  return cellsOf(line).flatMap((cell) =>
    cell.flatMap((word) => {
      const [value] = gstin.exec(word.text) ?? vat.exec(word.text) ?? [];
      if (value === undefined) {
        label += ` ${word.text}`;
        return [];
      }
      const isOthers = labels.buyersTaxId.test(label) || isBuyers(lines, index, cell);
      label = '';
      const confidence = fieldConfidence([word], 'exact', 'same_line');
      return [{ value, confidence, isGstin: gstin.test(value), isBuyers: isOthers }];
    }),
  );
}
