/** The number of the document and its dates. */
import { cellsOf, labelEnd, overlaps, textOf } from './amount-words.ts';
import { type Evidence, fieldConfidence } from './confidence.ts';
import { dayFirstOf, parseDate } from './dates.ts';
import type { Field } from './document.ts';
import * as labels from './labels.ts';
import type { Line, Word } from './words.ts';

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
