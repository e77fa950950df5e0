/** Finds the amounts of a line, and what stands to the right of a label. */
import { type Amount, parseAmount } from './amounts.ts';
import type { Line, Word } from './words.ts';

export interface AmountAt {
  readonly amount: Amount;
  readonly words: readonly Word[];
  /** Place of its first word in the line. */
  readonly index: number;
}

const currencyWord = /^(?:€|₹|£|¥|\$|RM|Rs\.?|EUR|USD|INR|MYR|GBP|PLN|CHF|SGD|AUD|zł)$/iu;
const currencyInside = /€|₹|£|¥|\$|^(?:RM|Rs\.?)\d|zł|(?:EUR|USD|INR|PLN)$/iu;
/** What an engine makes of specks beside an amount. */
const specks = /^[^\d(€₹£¥$\-−+A-Za-z]+|[^\d)\-−€₹£zł]+$/gu;

/** A whole number counts only with its currency beside it; anything with two decimals counts. */
export function amountsOf(line: Line): AmountAt[] {
  const found: AmountAt[] = [];
  for (const [index, word] of line.words.entries()) {
    const bare = unpaired(word.text.replaceAll(specks, ''));
    if (/%/.test(word.text) || /^\d+x$/i.test(word.text)) continue;
    const amount = parseAmount(bare);
    if (amount === undefined) continue;
    const before = line.words[index - 1];
    const hasCurrency =
      currencyInside.test(word.text) ||
      (before !== undefined && currencyWord.test(before.text.replaceAll(/[:.]$/g, '')));
    const digits = bare.replaceAll(/[^\d.,]/g, '');
    if (!hasCurrency && !/[.,]\d{2}$/.test(digits)) continue;
    found.push({ amount, words: [word], index });
  }
  return found;
}

/** A bracket without its partner is a speck. */
function unpaired(text: string): string {
  const opens = text.startsWith('(');
  const closes = text.endsWith(')');
  if (opens === closes) return text;
  return opens ? text.slice(1) : text.slice(0, -1);
}

/** The word of a line in which a label ends, by the label's place in the line's text; undefined when it is not there. */
export function labelEnd(line: Line, label: RegExp): number | undefined {
  const match = label.exec(line.text);
  if (match === null) return undefined;
  const end = match.index + match[0].trimEnd().length;
  let at = 0;
  for (const [index, word] of line.words.entries()) {
    at += word.text.length;
    if (at >= end) return index;
    at += 1;
  }
  return undefined;
}

const wide = 1.6;

/** Runs of words without a wide gap: the cells of a row. */
export function cellsOf(line: Line): Word[][] {
  const cells: Word[][] = [];
  for (const word of line.words) {
    const last = cells.at(-1)?.at(-1);
    const size = word.box.bottom - word.box.top;
    if (last !== undefined && word.box.left - last.box.right <= wide * Math.max(size, 1)) cells.at(-1)?.push(word);
    else cells.push([word]);
  }
  return cells;
}

export const textOf = (words: readonly Word[]): string => words.map((word) => word.text).join(' ');

/** Whether two stand over each other. */
export function overlaps(a: readonly Word[], b: readonly Word[]): boolean {
  const [left, right] = [Math.min(...a.map((one) => one.box.left)), Math.max(...a.map((one) => one.box.right))];
  return b.some(({ box }) => box.left < right && box.right > left);
}
