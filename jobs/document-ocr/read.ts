/** The order of work: embedded e-invoice, then text layer, then OCR of the pages that need it; what each found is merged. */
import { type DocumentType, expectedFields, requiredFields } from './confidence.ts';
import { type Found, merge, nothingFound } from './document.ts';
import type { Engine, EngineText, Turned } from './engine.ts';
import { findFields } from './fields.ts';
import { readPicture } from './ocr.ts';
import type { Source } from './source.ts';
import { meanConfidence, type ReadPage, type Word } from './words.ts';

export interface Reading {
  readonly type: DocumentType;
  /** Opened when the first page needs it. */
  readonly engine: () => Promise<Engine>;
  readonly pageMs: number;
  /** From this confidence on a field needs no second reader. */
  readonly threshold: number;
  readonly signal: AbortSignal;
  readonly progress: (percent: number, note: string) => void;
}

export interface Read {
  readonly found: Found;
  /** What the text and its confidence come from. */
  readonly pages: readonly ReadPage[];
  /** How far each page was turned to be upright, by index. */
  readonly turns: ReadonlyMap<number, Turned['degrees']>;
  readonly source: 'e_invoice' | 'text_layer' | 'ocr' | 'mixed' | 'nothing';
}

/** A page with fewer words whose most is a picture is a scan with a stamp. */
const fewWords = 20;
const mostlyPicture = 0.5;

export async function readDocument(source: Source, reading: Reading): Promise<Read> {
  if (source.einvoice !== undefined)
    return { found: withIssues(source.einvoice, source), pages: [], turns: new Map(), source: 'e_invoice' };
  const layers = Array.from({ length: source.pageCount }, (_, index) => source.textOf(index));
  reading.progress(5, 'text layer read');
  const texts = layers.flatMap((layer) => (layer === undefined ? [] : [layer.read]));
  const fromText = fieldsOf(
    texts.filter(({ words }) => words.length > 0),
    reading.type,
  );
  const scans = layers.flatMap((layer, index) => (isScan(layer) ? [index] : []));
  const first = await readScans(source, scans, reading);
  const before = merge(fromText, fieldsOf([...first.pages.values()], reading.type));
  const more = layers.flatMap((layer, index) => {
    const isOuter = index === 0 || index === source.pageCount - 1;
    return !scans.includes(index) && needsOcr(before, layer, isOuter, reading) ? [index] : [];
  });
  const second = await readScans(source, more, reading);
  const scanned = new Map([...first.pages, ...second.pages]);
  const found = merge(fromText, fieldsOf([...scanned.values()], reading.type));
  const pages = Array.from({ length: source.pageCount }, (_, index) =>
    pageOf(layers[index]?.read, scanned.get(index), scans.includes(index)),
  );
  return {
    found: withIssues(found, source),
    pages: pages.filter((page) => page !== undefined),
    turns: new Map([...first.turns, ...second.turns]),
    source: sourceOf(texts, scanned),
  };
}

const withIssues = (found: Found, source: Source): Found => ({ ...found, issues: [...source.issues, ...found.issues] });

function fieldsOf(pages: readonly ReadPage[], type: DocumentType): Found {
  return type === 'document' || pages.length === 0 ? nothingFound : findFields(pages, type);
}

function isScan(layer: ReturnType<Source['textOf']>): boolean {
  if (layer === undefined) return true;
  return layer.read.words.length < fewWords && layer.covered >= mostlyPicture;
}

/** A missing required field may stand in any picture, or as a drawing on the first or last page; an expected one in a picture. */
function needsOcr(
  found: Found,
  layer: ReturnType<Source['textOf']>,
  isOuter: boolean,
  { type, threshold }: Reading,
): boolean {
  if (layer === undefined || type === 'document') return false;
  const isWeak = (name: string): boolean => (found.fields[name]?.confidence ?? 0) < threshold;
  if (layer.read.words.length === 0 && layer.covered === 0) return false;
  const isMissing = requiredFields[type].some((name) => found.fields[name] === undefined);
  if (isMissing && (isOuter || layer.covered > 0)) return true;
  return layer.covered > 0 && expectedFields[type].some(isWeak);
}

/** A page that was OCRed for a missing field keeps its text layer as its text. */
function pageOf(layer: ReadPage | undefined, scanned: ReadPage | undefined, isScanned: boolean): ReadPage | undefined {
  return isScanned || layer === undefined || layer.words.length === 0 ? (scanned ?? layer) : layer;
}

function sourceOf(texts: readonly ReadPage[], scanned: ReadonlyMap<number, ReadPage>): Read['source'] {
  const hasText = texts.some(({ words }) => words.length > 0);
  const hasScan = [...scanned.values()].some(({ words }) => words.length > 0);
  if (hasText && hasScan) return 'mixed';
  return hasText ? 'text_layer' : hasScan ? 'ocr' : 'nothing';
}

async function readScans(source: Source, indexes: readonly number[], reading: Reading) {
  const pages = new Map<number, ReadPage>();
  const turns = new Map<number, Turned['degrees']>();
  for (const [done, index] of indexes.entries()) {
    reading.signal.throwIfAborted();
    const picture = await source.picture(index);
    if (picture === undefined) continue;
    const { words, text, turned } = await readPicture(picture, {
      engine: await reading.engine(),
      type: reading.type,
      wanted: (read) => wantedIn(read, reading.type),
      closer: source.closer === undefined ? undefined : async () => source.closer?.(index),
      pageMs: reading.pageMs,
      signal: reading.signal,
    });
    pages.set(index, { number: index + 1, source: 'ocr', words, text });
    turns.set(index, turned);
    reading.progress(10 + (80 * (done + 1)) / indexes.length, `page ${index + 1} read`);
  }
  return { pages, turns };
}

function wantedIn({ words, text }: EngineText, type: DocumentType): { readonly found: number; readonly of: number } {
  if (type === 'document') return { found: text === '' ? 0 : 1, of: 1 };
  const { fields } = findFields([{ number: 1, source: 'ocr', words, text }], type);
  const required = requiredFields[type];
  return { found: required.filter((name) => fields[name] !== undefined).length, of: required.length };
}

/** Of all words, weighted by length; undefined without text. */
export function textConfidence(pages: readonly ReadPage[]): number | undefined {
  return meanConfidence(pages.flatMap(({ words }): readonly Word[] => words));
}
