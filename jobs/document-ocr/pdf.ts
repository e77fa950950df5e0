/**
 * A PDF as pages of words and pictures. Everything is bounded before it is done: pages, characters, attachments, the
 * pixels of a page. Text is read before a page is drawn.
 */
import { giveUp, JobError } from '../errors.ts';
import { baseOf } from './confidence.ts';
import { openPdfium, type Pdfium } from './pdfium.ts';
import type { Picture } from './picture.ts';
import { sizeForEngine } from './sizes.ts';
import type { ReadPage, Word } from './words.ts';

export interface PdfPage {
  readonly text: () => ReadPage;
  /** Share of the page that pictures cover, 0 to 1. */
  readonly covered: () => number;
  /** Grey, at most 12 megapixels; undefined for a page without size. */
  readonly draw: (dpi: number) => Picture | undefined;
}

export interface Pdf {
  readonly pageCount: number;
  /** Embedded files that are XML by their name, at most ten. */
  readonly xml: readonly { readonly name: string; readonly bytes: Uint8Array }[];
  /** `index` 0 for the first. Close it before the next one. */
  readonly page: (index: number) => PdfPage & { readonly close: () => void };
}

const maxPages = 50;
const maxCharacters = 200_000;
const maxAttachmentBytes = 10_000_000;
const objectsLooked = 2_000;

const reasons: Readonly<Record<number, string>> = {
  3: 'it is no PDF or is damaged',
  4: 'it is encrypted; send it without a password',
  5: 'it is encrypted in a way nobody here knows',
};

/** Throws `BAD_SOURCE` (damaged, encrypted, no pages) and `LIMIT_EXCEEDED` (pages). */
export async function openPdf(bytes: Uint8Array): Promise<Pdf> {
  const pdfium = await openPdfium();
  return guarded(() => {
    // Held as long as the document: PDFium reads from it.
    const file = pdfium.allocate(bytes.byteLength);
    pdfium.write(file, bytes);
    const document = pdfium.call('FPDF_LoadMemDocument', file, bytes.byteLength, 0);
    if (document === 0) {
      const reason = reasons[pdfium.call('FPDF_GetLastError')] ?? 'it cannot be opened';
      throw giveUp('BAD_SOURCE', `The PDF cannot be read: ${reason}.`);
    }
    const pageCount = pdfium.call('FPDF_GetPageCount', document);
    if (pageCount <= 0) throw giveUp('BAD_SOURCE', 'The PDF has no pages.');
    if (pageCount > maxPages) throw giveUp('LIMIT_EXCEEDED', `expected at most ${maxPages} pages, got ${pageCount}`);
    return {
      pageCount,
      xml: attachments(pdfium, document),
      page: (index) => guarded(() => openPage(pdfium, document, index)),
    };
  });
}

/** What the WebAssembly traps on is the document's fault; what it finds no memory for is over a limit. */
function guarded<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof JobError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    if (/memory|OOM|allocation/i.test(message))
      throw giveUp('LIMIT_EXCEEDED', 'The PDF needs more memory to draw than it may have.', { cause: error });
    throw giveUp('BAD_SOURCE', `The PDF cannot be read: ${message.slice(0, 200)}`, { cause: error });
  }
}

function attachments(pdfium: Pdfium, document: number): { name: string; bytes: Uint8Array }[] {
  const count = Math.min(100, pdfium.call('FPDFDoc_GetAttachmentCount', document));
  const found: { name: string; bytes: Uint8Array }[] = [];
  for (let index = 0; index < count && found.length < 10; index += 1) {
    const attachment = pdfium.call('FPDFDoc_GetAttachment', document, index);
    if (attachment === 0) continue;
    const length = Math.min(2_048, pdfium.call('FPDFAttachment_GetName', attachment, 0, 0));
    const name = pdfium.lend(length + 2, (pointer) => {
      pdfium.call('FPDFAttachment_GetName', attachment, pointer, length);
      return new TextDecoder('utf-16le').decode(pdfium.bytes(pointer, Math.max(0, length - 2)));
    });
    if (!/\.xml$/i.test(name)) continue;
    const bytes = contentOf(pdfium, attachment);
    if (bytes !== undefined) found.push({ name, bytes });
  }
  return found;
}

function contentOf(pdfium: Pdfium, attachment: number): Uint8Array | undefined {
  return pdfium.lend(4, (sizePointer) => {
    const sizeOf = (): number => new DataView(pdfium.bytes(sizePointer, 4).buffer).getUint32(0, true);
    if (pdfium.call('FPDFAttachment_GetFile', attachment, 0, 0, sizePointer) === 0) return undefined;
    const size = sizeOf();
    if (size === 0 || size > maxAttachmentBytes) return undefined;
    return pdfium.lend(size, (pointer) => {
      pdfium.call('FPDFAttachment_GetFile', attachment, pointer, size, sizePointer);
      return pdfium.bytes(pointer, size);
    });
  });
}

function openPage(pdfium: Pdfium, document: number, index: number): PdfPage & { readonly close: () => void } {
  const page = pdfium.call('FPDF_LoadPage', document, index);
  if (page === 0) throw giveUp('BAD_SOURCE', `Page ${index + 1} of the PDF cannot be read.`);
  const width = pdfium.call('FPDF_GetPageWidth', page);
  const height = pdfium.call('FPDF_GetPageHeight', page);
  return {
    text: () => guarded(() => readText(pdfium, page, { number: index + 1, width, height })),
    covered: () => guarded(() => coverOf(pdfium, page, width * height)),
    draw: (dpi) => guarded(() => draw(pdfium, page, width, height, dpi)),
    close: () => void pdfium.call('FPDF_ClosePage', page),
  };
}

interface Letter {
  readonly text: string;
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

function readText(
  pdfium: Pdfium,
  page: number,
  { number, width, height }: { readonly number: number; readonly width: number; readonly height: number },
): ReadPage {
  const loaded = pdfium.call('FPDFText_LoadPage', page);
  if (loaded === 0) return { number, source: 'text_layer', words: [], text: '' };
  try {
    const count = pdfium.call('FPDFText_CountChars', loaded);
    if (count > maxCharacters)
      throw giveUp('LIMIT_EXCEEDED', `expected at most ${maxCharacters} characters on a page, got ${count}`);
    const turns = pdfium.call('FPDFPage_GetRotation', page);
    const words: Word[] = [];
    let text = '';
    let word: Letter[] = [];
    const endWord = (): void => {
      const made = wordOf(word);
      if (made !== undefined) words.push(made);
      word = [];
    };
    pdfium.lend(32, (pointer) => {
      for (let at = 0; at < count; at += 1) {
        const code = pdfium.call('FPDFText_GetUnicode', loaded, at) >>> 0;
        const letter = code === 0 || code > 0x10ffff ? '' : String.fromCodePoint(code);
        text += letter === '\r' ? '' : letter;
        if (letter === '' || code < 0x20 || code === 0xfffe || /\s/u.test(letter)) {
          endWord();
          continue;
        }
        if (pdfium.call('FPDFText_GetCharBox', loaded, at, pointer, pointer + 8, pointer + 16, pointer + 24) === 0)
          continue;
        const [left = 0, right = 0, bottom = 0, top = 0] = pdfium.doubles(pointer, 4);
        word.push({ text: letter, ...turned({ left, right, top, bottom }, turns, width, height) });
      }
    });
    endWord();
    return { number, source: 'text_layer', words, text: text.trim() };
  } finally {
    pdfium.call('FPDFText_ClosePage', loaded);
  }
}

/** From the page's own axes (upwards, before its rotation) to ours (downwards, as it is shown). */
function turned(
  { left, right, top, bottom }: Omit<Letter, 'text'>,
  turns: number,
  width: number,
  height: number,
): Omit<Letter, 'text'> {
  switch (turns) {
    case 1:
      return { left: bottom, right: top, top: left, bottom: right };
    case 2:
      return { left: width - right, right: width - left, top: bottom, bottom: top };
    case 3:
      return { left: width - top, right: width - bottom, top: height - right, bottom: height - left };
    default:
      return { left, right, top: height - top, bottom: height - bottom };
  }
}

function wordOf(letters: readonly Letter[]): Word | undefined {
  if (letters.length === 0) return undefined;
  const box = {
    left: Math.min(...letters.map((one) => one.left)),
    top: Math.min(...letters.map((one) => one.top)),
    right: Math.max(...letters.map((one) => one.right)),
    bottom: Math.max(...letters.map((one) => one.bottom)),
  };
  return { text: letters.map((one) => one.text).join(''), confidence: baseOf.text_layer, box };
}

const imageObject = 3;
const formObject = 5;

/** Drawn forms may hold pictures, so they count too. */
function coverOf(pdfium: Pdfium, page: number, area: number): number {
  if (!(area > 0)) return 0;
  const count = Math.min(objectsLooked, pdfium.call('FPDFPage_CountObjects', page));
  let covered = 0;
  pdfium.lend(16, (pointer) => {
    for (let at = 0; at < count; at += 1) {
      const object = pdfium.call('FPDFPage_GetObject', page, at);
      if (![imageObject, formObject].includes(pdfium.call('FPDFPageObj_GetType', object))) continue;
      if (pdfium.call('FPDFPageObj_GetBounds', object, pointer, pointer + 4, pointer + 8, pointer + 12) === 0) continue;
      const [left = 0, bottom = 0, right = 0, top = 0] = pdfium.floats(pointer, 4);
      covered += Math.max(0, right - left) * Math.max(0, top - bottom);
    }
  });
  return Math.min(1, covered / area);
}

const greyBitmap = 1;
// Annotations, without the colours of screen fonts, in grey.
const renderFlags = 0x01 | 0x08;

function draw(pdfium: Pdfium, page: number, pointsWide: number, pointsHigh: number, dpi: number): Picture | undefined {
  const size = sizeForEngine(pointsWide, pointsHigh, dpi);
  if (size === undefined) return undefined;
  const { width, height } = size;
  return pdfium.lend(width * height, (pointer) => {
    const bitmap = pdfium.call('FPDFBitmap_CreateEx', width, height, greyBitmap, pointer, width);
    if (bitmap === 0) throw giveUp('LIMIT_EXCEEDED', 'The page cannot be drawn: no memory for its picture.');
    try {
      pdfium.call('FPDFBitmap_FillRect', bitmap, 0, 0, width, height, 0xffffffff);
      pdfium.call('FPDF_RenderPageBitmap', bitmap, page, 0, 0, width, height, 0, renderFlags);
      return {
        data: Buffer.from(pdfium.bytes(pointer, width * height).buffer),
        width,
        height,
        channels: 1 as const,
        dpi: size.dpi,
      };
    } finally {
      pdfium.call('FPDFBitmap_Destroy', bitmap);
    }
  });
}
