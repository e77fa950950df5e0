/** What was read of a page: words with places and how sure the reader was, and the lines they make. */

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export interface Word {
  readonly text: string;
  /** 0 to 1. */
  readonly confidence: number;
  /** In pixels or points of the page, from its upper left corner. */
  readonly box: Box;
}

export type PageSource = 'text_layer' | 'ocr' | 'vision';

export interface ReadPage {
  /** 1 for the first. */
  readonly number: number;
  readonly source: PageSource;
  /** In reading order. */
  readonly words: readonly Word[];
  /** The text as it reads, with line breaks. */
  readonly text: string;
}

/** Words that stand beside each other, left to right. */
export interface Line {
  readonly words: readonly Word[];
  readonly text: string;
  readonly page: number;
}

const middle = ({ box }: Word): number => (box.top + box.bottom) / 2;
const height = ({ box }: Word): number => Math.max(1, box.bottom - box.top);

/**
 * Lines over the whole width of the page: an engine that sees columns keeps a label and its amount apart. A word
 * belongs to the line whose height its middle falls into.
 */
export function linesOf(page: ReadPage): Line[] {
  const rows: { words: Word[]; middle: number; height: number }[] = [];
  for (const word of page.words.toSorted((a, b) => middle(a) - middle(b))) {
    const at = middle(word);
    const row = rows.findLast((one) => Math.abs(one.middle - at) < 0.5 * Math.min(one.height, height(word) * 1.5));
    if (row === undefined) rows.push({ words: [word], middle: at, height: height(word) });
    else {
      row.words.push(word);
      row.middle += (at - row.middle) / row.words.length;
      row.height = Math.max(row.height, height(word));
    }
  }
  return rows.map(({ words }) => {
    const sorted = words.toSorted((a, b) => a.box.left - b.box.left);
    return { words: sorted, text: sorted.map((word) => word.text).join(' '), page: page.number };
  });
}

/** Mean confidence weighted by length; undefined without words. */
export function meanConfidence(words: readonly Word[]): number | undefined {
  let sum = 0;
  let letters = 0;
  for (const { text, confidence } of words) {
    sum += confidence * text.length;
    letters += text.length;
  }
  return letters === 0 ? undefined : sum / letters;
}

/** Anything but 0 to 1 (an engine may answer NaN or −1) counts as not sure at all. */
export function asConfidence(value: number): number {
  return Number.isFinite(value) ? Math.min(1, Math.max(0, value)) : 0;
}
