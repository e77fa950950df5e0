/** Reads one document and says what is in it, how sure that is, and whether a person has to look. Maps PDFium and libvips. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JobContext, Payload, Result } from '../define.ts';
import { type Assessed, assess } from './assess.ts';
import type { Thresholds } from './confidence.ts';
import { shown } from './confidence.ts';
import type { Found } from './document.ts';
import type { Engine } from './engine.ts';
import { hasSystemTesseract, openSystemEngine } from './engine-system.ts';
import type job from './job.ts';
import { type Picture, prepareSharp, turn, writePreview } from './picture.ts';
import { type Read, readDocument, textConfidence } from './read.ts';
import { openSource, type Source } from './source.ts';
import { askVision, withSecondReader } from './vision.ts';
import { meanConfidence } from './words.ts';

const maxBytes = 50_000_000;
const textShown = 8_000;
const itemsShown = 200;
/** Who reviews looks at the first pages. */
const pagesShown = 10;
const pagesAsked = 5;

export interface Settings {
  readonly OCR_CONFIDENCE_THRESHOLD: number;
  readonly OCR_FIELD_THRESHOLDS: string;
  readonly OCR_ENGINE: 'auto' | 'tesseract' | 'tesseract.js';
  readonly OCR_PAGE_SECONDS: number;
  readonly GEMINI_API_KEY?: string | undefined;
  readonly GEMINI_MODEL: string;
  readonly GEMINI_CALLS_PER_HOUR: number;
  readonly GEMINI_URL: string;
}

type Output = Result<typeof job>;
export interface Reader {
  readonly process: (payload: Payload<typeof job>, ctx: JobContext) => Promise<Output>;
  /** Ends the engine. */
  readonly close: () => Promise<void>;
}

/** Once per process. The engine starts with the first page that needs it. */
export function openReader(settings: Settings): Reader {
  prepareSharp();
  let engine: Promise<Engine> | undefined;
  const openEngine = (): Promise<Engine> => (engine ??= chooseEngine(settings.OCR_ENGINE));
  return {
    process: (payload, ctx) => processDocument(payload, ctx, settings, openEngine),
    close: async () => (await engine)?.close(),
  };
}

async function chooseEngine(wanted: Settings['OCR_ENGINE']): Promise<Engine> {
  if (wanted === 'tesseract' || (wanted === 'auto' && (await hasSystemTesseract()))) return openSystemEngine();
  // Its 44 MB of WebAssembly are loaded only where they are used.
  return (await import('./engine-js.ts')).openJsEngine();
}

function thresholdsOf(settings: Settings): Thresholds {
  const pairs = settings.OCR_FIELD_THRESHOLDS.split(',').filter((one) => one !== '');
  const fields = pairs.map((one): [string, number] => [
    one.slice(0, one.indexOf('=')),
    Number(one.slice(one.indexOf('=') + 1)),
  ]);
  return { overall: settings.OCR_CONFIDENCE_THRESHOLD, fields: Object.fromEntries(fields) };
}

async function processDocument(
  payload: Payload<typeof job>,
  ctx: JobContext,
  settings: Settings,
  engine: () => Promise<Engine>,
): Promise<Output> {
  const type = payload.document_type;
  const file = await ctx.objects.fetch(payload.file_id, { maxBytes });
  const source = await openSource(await readFile(file.path), type);
  const read = await readDocument(source, {
    type,
    engine,
    pageMs: settings.OCR_PAGE_SECONDS * 1_000,
    threshold: settings.OCR_CONFIDENCE_THRESHOLD,
    signal: ctx.signal,
    progress: ctx.progress,
  });
  const judge = (found: Found): Assessed => assess(found, type, textConfidence(read.pages), thresholdsOf(settings));
  const first = judge(read.found);
  const found = first.status === 'completed' ? undefined : await secondReading(source, read, payload, settings, ctx);
  const assessed = found === undefined ? first : judge(found);
  const { status, issues, lineItemsSumMatchesTotal } = assessed;
  const text = read.pages
    .map((page) => page.text)
    .join('\n\n')
    .trim();
  return {
    status,
    extracted_data: type === 'document' ? await textData(text, file.sha256, ctx) : dataOf(found ?? read.found),
    confidence_scores: assessed.scores,
    validation: { line_items_sum_matches_total: lineItemsSumMatchesTotal, issues: [...issues] },
    page_confidence: read.pages.map(({ words }) => shown(meanConfidence(words) ?? 0)),
    source: found === undefined ? read.source : 'vision',
    pages: status === 'review_required' ? await storePages(source, read, ctx) : [],
  };
}

/** What the vision model makes of a doubtful invoice or receipt, beside what was found; undefined where it was not asked. */
async function secondReading(
  source: Source,
  read: Read,
  { document_type: type }: Payload<typeof job>,
  settings: Settings,
  ctx: JobContext,
): Promise<Found | undefined> {
  const {
    GEMINI_API_KEY: key,
    GEMINI_MODEL: model,
    GEMINI_URL: baseUrl,
    GEMINI_CALLS_PER_HOUR: callsPerHour,
  } = settings;
  if (key === undefined || type === 'document' || read.source === 'e_invoice') return undefined;
  const pages: Uint8Array[] = [];
  for (let index = 0; index < Math.min(source.pageCount, pagesAsked); index += 1) {
    const picture = await source.picture(index);
    if (picture === undefined) continue;
    const path = join(ctx.folder, `ask-${index + 1}.jpg`);
    await writePreview(await turned(picture, read, index), path);
    pages.push(await readFile(path));
  }
  if (pages.length === 0) return undefined;
  const second = await askVision(pages, type, { key, model, baseUrl, callsPerHour }, ctx);
  return second === undefined ? undefined : withSecondReader(read.found, second, settings.OCR_CONFIDENCE_THRESHOLD);
}

async function turned(picture: Picture, { turns }: Read, index: number): Promise<Picture> {
  const degrees = turns.get(index) ?? 0;
  return degrees === 0 ? picture : turn(picture, degrees);
}

/** The result travels with its job, so a long text goes beside it. */
async function textData(text: string, sha256: string, ctx: JobContext): Promise<Output['extracted_data']> {
  if (text === '') return {};
  if (text.length <= textShown) return { text };
  const path = join(ctx.folder, 'text.txt');
  await writeFile(path, text);
  const { object } = await ctx.objects.put(`ocr/${sha256}/text.txt`, path, 'text/plain; charset=utf-8');
  return { text: text.slice(0, textShown), text_object: object };
}

function dataOf({ fields, items }: Found): Output['extracted_data'] {
  const lines = items.slice(0, itemsShown).map(({ description, quantity, unitPrice, taxRate, hsn, amount }) => ({
    description,
    quantity,
    unit_price: unitPrice,
    tax_rate: taxRate,
    hsn,
    amount,
  }));
  const values = Object.fromEntries(Object.entries(fields).map(([name, { value }]) => [name, value]));
  return { ...values, ...(lines.length === 0 ? {} : { line_items: lines }) };
}

/** As they were read: upright. */
async function storePages(source: Source, read: Read, ctx: JobContext): Promise<string[]> {
  const stored: string[] = [];
  for (let index = 0; index < Math.min(source.pageCount, pagesShown); index += 1) {
    ctx.signal.throwIfAborted();
    const picture = await source.picture(index);
    if (picture === undefined) continue;
    const path = join(ctx.folder, `page-${index + 1}.jpg`);
    await writePreview(await turned(picture, read, index), path);
    const { object } = await ctx.objects.put(`reviews/${ctx.id}/page-${index + 1}.jpg`, path, 'image/jpeg');
    stored.push(object);
  }
  return stored;
}
