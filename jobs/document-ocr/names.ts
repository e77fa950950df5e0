/** Who wrote the document, its number and its dates. */
import { cellsOf, labelEnd, overlaps, textOf } from './amount-words.ts';
import { currencyOf } from './amounts.ts';
import { type Evidence, fieldConfidence } from './confidence.ts';
import { dayFirstOf, parseDate } from './dates.ts';
import type { Field } from './document.ts';
import * as labels from './labels.ts';
import type { Row } from './totals.ts';
import { type Line, meanConfidence, type Word } from './words.ts';

/** A number is one word with a digit, or a letter or two before such a word. */
function numberIn(words: readonly Word[]): readonly Word[] | undefined {
  const rest = words.filter((word) => /[\p{L}\d]/u.test(word.text));
  const [first, second] = rest;
  if (first === undefined) return undefined;
  if (isNumber(first)) return [first];
  return second !== undefined && isNumber(second) && /^\p{L}{1,2}$/u.test(first.text) ? [first, second] : undefined;
}

function isNumber({ text }: Word): boolean {
  const bare = text.replaceAll(/^[:#.*]+|[:,.;]+$/g, '');
  if (!/\d/.test(bare) || bare.length > 30 || !/^[\p{L}\d][\p{L}\d_/.#-]*$/u.test(bare)) return false;
  return !/^\d+[.,]\d{2}$/.test(bare) && parseDate(bare) === undefined;
}

export function findNumber(lines: readonly Line[]): Field | undefined {
  for (const label of [labels.invoiceNumber, labels.bareInvoice, labels.otherNumber]) {
    for (const index of lines.keys()) {
      const found = numberBeside(lines, index, label);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function numberBeside(lines: readonly Line[], index: number, label: RegExp): Field | undefined {
  const line = lines[index];
  if (line === undefined) return undefined;
  const isBare = label === labels.bareInvoice;
  for (const [at, word] of line.words.entries()) {
    const end = isBare ? (isCell(line, at, label) ? at : undefined) : at === 0 ? labelEnd(line, label) : undefined;
    if (end === undefined) continue;
    const beside = numberIn(line.words.slice(end + 1, end + 4));
    // A word that could be a label itself ends the search: "Invoice No. Date".
    if (beside !== undefined) return numberField(beside, 'same_line');
    const named = isBare ? [word] : line.words.slice(Math.max(0, end - 2), end + 1);
    for (const lower of [lines[index + 1], isBare ? undefined : lines[index + 2]]) {
      const below = lower?.words.filter((other) => overlaps(named, [other]) && isNumber(other)) ?? [];
      if (below.length === 1) return numberField(below, 'above');
    }
  }
  return undefined;
}

/** Whether the word is a cell of its own: "Factuur" between other headings, "#" before a number. */
function isCell(line: Line, at: number, label: RegExp): boolean {
  const word = line.words[at];
  if (word === undefined || !label.test(word.text)) return false;
  const next = line.words[at + 1];
  return (
    word.text === '#' ||
    /[:#]$/.test(word.text) ||
    next === undefined ||
    !/^(?:datum|date|is|for|to|summary|in)$/i.test(next.text)
  );
}

function numberField(words: readonly Word[], evidence: Evidence): Field {
  const value = textOf(words).replaceAll(/^[:#.*]+|[:,.;]+$/g, '');
  return { value, confidence: fieldConfidence(words, 'exact', evidence) };
}

interface DateAt extends Field {
  readonly value: string;
  /** 3 an invoice date, 2 a date, 1 beside a time of day, 0 alone. */
  readonly rank: number;
}

export interface Dates {
  readonly date: Field | undefined;
  readonly dueDate: Field | undefined;
  /** Several dates of the document say the same. */
  readonly agreed: boolean | undefined;
  readonly isAmbiguous: boolean;
}

export function findDates(lines: readonly Line[], currency: string | undefined): Dates {
  const text = lines.map((line) => line.text).join('\n');
  const dayFirst = dayFirstOf(text, currency);
  const found: DateAt[] = [];
  let dueDate: Field | undefined;
  let ambiguous = new Set<string>();
  for (const [index, line] of lines.entries()) {
    for (const { words, iso, isAmbiguous } of datesIn(line, dayFirst)) {
      const label = labelOf(lines, index, words);
      if (isAmbiguous) ambiguous = ambiguous.add(iso);
      const evidence: Evidence = isAmbiguous ? 'ambiguous' : label.evidence;
      const field = { value: iso, confidence: fieldConfidence(words, 'exact', evidence) };
      if (label.kind === 'due') dueDate ??= field;
      else if (label.kind !== 'other') found.push({ ...field, rank: label.rank });
    }
  }
  const [best] = found.toSorted((a, b) => b.rank - a.rank || b.confidence - a.confidence);
  const twins = found.filter((one) => one !== best && one.value === best?.value);
  return {
    date: best,
    dueDate,
    agreed: twins.length > 0 ? true : undefined,
    isAmbiguous: best !== undefined && ambiguous.has(best.value),
  };
}

/** Up to four words make a date. */
function* datesIn(line: Line, dayFirst: boolean | undefined) {
  for (let at = 0; at < line.words.length; ) {
    const taken = [1, 2, 3, 4]
      .map((size) => line.words.slice(at, at + size))
      .find((words) => startsDate(words, dayFirst));
    const found = taken === undefined ? undefined : parseDate(textOf(taken), dayFirst);
    if (taken !== undefined && found !== undefined)
      yield { words: taken, iso: found.iso, isAmbiguous: found.isAmbiguous };
    at += taken?.length ?? 1;
  }
}

/** The date must begin in the first word, or a longer run is tried where it begins. */
function startsDate(words: readonly Word[], dayFirst: boolean | undefined): boolean {
  const found = parseDate(textOf(words), dayFirst);
  return found !== undefined && textOf(words).indexOf(found.raw) < (words[0]?.text.length ?? 0);
}

interface Label {
  readonly kind: 'date' | 'due' | 'other';
  readonly rank: number;
  readonly evidence: Evidence;
}

function labelOf(lines: readonly Line[], index: number, words: readonly Word[]): Label {
  const line = lines[index];
  const [first] = words;
  if (line === undefined || first === undefined) return { kind: 'date', rank: 0, evidence: 'alone' };
  const at = line.words.indexOf(first);
  const before = textOf(line.words.slice(Math.max(0, at - 4), at));
  const beside = kindOf(before, 'same_line');
  if (beside !== undefined) return beside;
  for (const upper of [lines[index - 1], lines[index - 2]]) {
    const over = upper === undefined ? [] : cellsOf(upper).filter((cell) => overlaps(words, cell));
    const above = kindOf(over.map(textOf).join(' '), 'above');
    if (above !== undefined) return above;
  }
  const after = line.words[at + words.length];
  const hasTime = after !== undefined && labels.clock.test(after.text);
  return { kind: 'date', rank: hasTime ? 1 : 0, evidence: hasTime ? 'above' : 'alone' };
}

function kindOf(text: string, evidence: Evidence): Label | undefined {
  if (labels.dueDate.test(text)) return { kind: 'due', rank: 0, evidence };
  if (labels.invoiceDate.test(text)) return { kind: 'date', rank: 3, evidence };
  if (!labels.anyDate.test(text)) return labels.otherDate.test(text) ? { kind: 'other', rank: 0, evidence } : undefined;
  return labels.otherDate.test(text) ? { kind: 'other', rank: 0, evidence } : { kind: 'date', rank: 2, evidence };
}

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

/** A GSTIN or a European VAT number that is not named as the buyer's. */
export function findTaxId(lines: readonly Line[]): Field | undefined {
  for (const line of lines) {
    if (/\b(?:your|uw|ihre)\b/i.test(line.text)) continue;
    for (const word of line.words) {
      const [value] = gstin.exec(word.text) ?? vat.exec(word.text) ?? [];
      if (value !== undefined) return { value, confidence: fieldConfidence([word], 'exact', 'same_line') };
    }
  }
  return undefined;
}
