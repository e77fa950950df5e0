/** The lines of an invoice or receipt: what stands between the headings of a table and its totals. */
import { cellsOf, overlaps, textOf } from './amount-words.ts';
import { exact, product } from './amounts.ts';
import type { Item } from './document.ts';
import * as labels from './labels.ts';
import type { Row } from './totals.ts';
import type { Word } from './words.ts';

export interface FoundItems {
  readonly items: readonly Item[];
  /** Of the worst amount; 1 without items. */
  readonly confidence: number;
}

const maxItems = 1_000;
/** A digit misread is no fault of the issuer. */
const hsnTrusted = 0.85;

/** Two headings at least make a table. */
function isHeading({ line }: Row): boolean {
  const cells = cellsOf(line).map(textOf);
  const named = cells.filter((cell) => labels.itemColumn.test(cell)).length;
  return (
    named >= 2 ||
    line.words.filter((word) => labels.itemColumn.test(word.text.replaceAll(/^[^\p{L}]+/gu, ''))).length >= 3
  );
}

const isEnd = ({ line }: Row): boolean =>
  labels.grandTotal.test(line.text) ||
  labels.anyTotal.test(line.text) ||
  labels.subtotal.test(line.text) ||
  labels.netExplicit.test(line.text) ||
  labels.taxSummary.test(line.text) ||
  /^\W*(?:prijzen zijn|cash|discount|rounding)/iu.test(line.text);

/** None without a heading: rows of numbers alone may be anything. */
export function findItems(rows: readonly Row[]): FoundItems {
  const start = rows.findIndex(isHeading);
  if (start < 0) return { items: [], confidence: 1 };
  const items: Item[] = [];
  let confidence = 1;
  let description = '';
  const hsnHeading = rows[start]?.line.words.find((word) => labels.hsnColumn.test(word.text));
  for (const row of rows.slice(start + 1)) {
    if (isEnd(row) || items.length >= maxItems) break;
    const last = row.amounts.at(-1);
    const words = textOf(row.line.words.filter((word) => /\p{L}{2}/u.test(word.text)));
    if (last === undefined) {
      description = words;
      continue;
    }
    // A note such as "Tax: 0.2%" or a price inside a text is no line of its own.
    confidence = Math.min(confidence, ...last.words.map((word) => word.confidence));
    items.push(itemOf(row, words === '' ? description : words, hsnOf(row, hsnHeading)));
    description = '';
  }
  return { items, confidence };
}

/** What stands below the heading, read well enough to be judged. */
function hsnOf({ line }: Row, heading: Word | undefined): Word | undefined {
  if (heading === undefined) return undefined;
  return line.words.find(
    (word) => /\d/.test(word.text) && word.confidence >= hsnTrusted && overlaps([heading], [word]),
  );
}

function itemOf({ line, amounts }: Row, description: string, hsn: Word | undefined): Item {
  const amount = amounts.at(-1)?.amount.value ?? 0;
  const prices = amounts.slice(0, -1).map((one) => one.amount.value);
  const unitPrice = prices.at(-1);
  const whole = line.words.flatMap(({ text }, place) => {
    const [, digits] = /^(\d{1,6})x?$/i.exec(text) ?? [];
    return digits === undefined || line.words[place] === hsn || line.words[place + 1]?.text === '%'
      ? []
      : [{ value: Number(digits), isFirst: place === 0 }];
  });
  const quantities = [...whole.map(({ value }) => value), ...prices.slice(0, -1)];
  const rate = /(?:^|\s)(\d{1,2}(?:[.,]\d)?)\s?%(?:\s|$)/.exec(line.text)?.[1];
  const fits =
    unitPrice === undefined ? undefined : quantities.find((one) => product(one, unitPrice) === exact(amount));
  // One whole number beside a price is the quantity, whether it fits or not; of several only one that fits. The first
  // word of a row may be the code of the article.
  const only = whole.length === 1 && whole[0]?.isFirst === false ? whole[0].value : undefined;
  const quantity = fits ?? only;
  return {
    ...(description === '' ? {} : { description: description.slice(0, 200) }),
    ...(quantity === undefined || unitPrice === undefined ? {} : { quantity, unitPrice }),
    ...(rate === undefined ? {} : { taxRate: Number(rate.replace(',', '.')) }),
    ...(hsn === undefined ? {} : { hsn: hsn.text.slice(0, 20) }),
    amount,
  };
}
