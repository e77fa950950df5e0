/**
 * A table as PDF, A4 across, its header on every page. The standard fonts of PDF know no ₹ and no Devanagari and turn them
 * into other characters without an error: Noto Sans is embedded, and what it lacks is refused.
 */
import { createRequire } from 'node:module';
import type { Readable } from 'node:stream';
import { openSync } from 'fontkit';
import Pdf from 'pdfkit';
import { giveUp } from '../errors.ts';
import type { Cell, Column } from './cells.ts';

export const maxPdfColumns = 20;
const margin = 28;
const padding = 3;
const fontSize = 8;
const { resolve } = createRequire(import.meta.url);

/** The file as it grows. Throws `BAD_SOURCE` for a character without a glyph, `LIMIT_EXCEEDED` for a row that is longer than a page. */
export function pdfFile(
  title: string,
  columns: readonly Column[],
  batches: AsyncIterable<readonly (readonly Cell[])[]>,
): Readable {
  const document = new Pdf({
    size: 'A4',
    layout: 'landscape',
    margin,
    info: { Title: title },
    autoFirstPage: false,
  });
  const write = async (): Promise<void> => {
    const table = openTable(document, columns);
    for await (const rows of batches) {
      for (const row of rows) table.row(row);
      // Readers of the file set the pace.
      if (document.readableLength > 1_048_576) await drained(document);
    }
    document.end();
  };
  write().catch((error: unknown) => document.destroy(error instanceof Error ? error : new Error(String(error))));
  return document;
}

function drained(document: Readable): Promise<void> {
  return new Promise((done) => {
    const look = (): void => {
      if (document.readableLength < 65_536 || document.destroyed) done();
      else setImmediate(look);
    };
    look();
  });
}

function openTable(document: PDFKit.PDFDocument, columns: readonly Column[]) {
  const regular = resolve('@expo-google-fonts/noto-sans/400Regular/NotoSans_400Regular.ttf');
  document.registerFont('body', regular);
  document.registerFont('head', resolve('@expo-google-fonts/noto-sans/700Bold/NotoSans_700Bold.ttf'));
  const font = openSync(regular);
  const known = new Set<number>();
  const check = (text: string): string => {
    for (const character of text) {
      const point = character.codePointAt(0) ?? 0;
      if (known.has(point)) continue;
      const isBlank = point === 0x0a || point === 0x0d || point === 0x09;
      if (!isBlank && !('hasGlyphForCodePoint' in font && font.hasGlyphForCodePoint(point)))
        throw giveUp(
          'BAD_SOURCE',
          `The font of PDF exports has no glyph for U+${point.toString(16).toUpperCase().padStart(4, '0')} (${character}). Export CSV, XLSX or JSON.`,
        );
      known.add(point);
    }
    return text.replaceAll(/\r\n?|\t/g, ' ');
  };
  // The header row is drawn by page breaks; its texts are checked once.
  const header = columns.map((column) => check(column.header));
  let width = 0;
  let bottom = 0;
  let y = 0;
  const draw = (texts: readonly string[], kind: 'body' | 'head'): boolean => {
    document.font(kind).fontSize(fontSize);
    const inner = { width: width - 2 * padding };
    const height = Math.max(fontSize, ...texts.map((text) => document.heightOfString(text, inner))) + 2 * padding;
    if (y + height > bottom) return false;
    for (const [at, text] of texts.entries())
      document.text(text, margin + at * width + padding, y + padding, { ...inner, height });
    y += height;
    document
      .moveTo(margin, y)
      .lineTo(margin + width * columns.length, y)
      .lineWidth(0.3)
      .strokeColor('#9ca3af')
      .stroke();
    return true;
  };
  const breakPage = (): void => {
    document.addPage();
    width = (document.page.width - 2 * margin) / columns.length;
    bottom = document.page.height - margin;
    y = margin;
    if (!draw(header, 'head')) throw giveUp('LIMIT_EXCEEDED', 'The headers are longer than a page of PDF.');
  };
  breakPage();
  return {
    row(row: readonly Cell[]): void {
      const texts = columns.map((_, at) => check(textOf(row[at] ?? null)));
      if (draw(texts, 'body')) return;
      breakPage();
      if (!draw(texts, 'body'))
        throw giveUp('LIMIT_EXCEEDED', 'A row is longer than a page of PDF. Export fewer columns, or CSV.');
    },
  };
}

function textOf(cell: Cell): string {
  if (cell === null) return '';
  return cell instanceof Date ? cell.toISOString() : String(cell);
}
