/** One document as pages, whatever its file is. */
import { giveUp } from '../errors.ts';
import type { DocumentType } from './confidence.ts';
import type { Found } from './document.ts';
import { readEinvoice } from './einvoice.ts';
import { openPdf, type Pdf } from './pdf.ts';
import { openPicture, type Picture } from './picture.ts';
import { drawDpi } from './sizes.ts';
import { sniff } from './sniff.ts';
import type { ReadPage } from './words.ts';

export interface Source {
  readonly pageCount: number;
  /** The e-invoice it is or carries. */
  readonly einvoice: Found | undefined;
  readonly issues: readonly string[];
  /** The text layer of a page and the share of it that pictures cover; undefined for a page that is a picture. */
  readonly textOf: (index: number) => { readonly read: ReadPage; readonly covered: number } | undefined;
  /** Upright as the file says, at most 12 megapixels; undefined when there is nothing to see. */
  readonly picture: (index: number) => Promise<Picture | undefined>;
  /** The same in more pixels, where a page is drawn and not scanned. */
  readonly closer?: (index: number) => Promise<Picture | undefined>;
}

/** Throws `BAD_SOURCE` for what cannot be read and `LIMIT_EXCEEDED` for what is too large. */
export async function openSource(bytes: Uint8Array, type: DocumentType): Promise<Source> {
  const sniffed = sniff(bytes);
  if (sniffed.state === 'refused')
    throw giveUp('BAD_SOURCE', `expected a PDF, a picture or an e-invoice, got ${sniffed.what}`);
  const { kind } = sniffed;
  if (kind === 'xml') return openXml(bytes, type);
  if (kind === 'pdf') return openPages(await openPdf(bytes), type);
  const file = await openPicture(bytes, kind, type !== 'receipt');
  return { pageCount: file.pageCount, einvoice: undefined, issues: [], textOf: () => undefined, picture: file.page };
}

function openXml(bytes: Uint8Array, type: DocumentType): Source {
  if (type === 'document')
    throw giveUp('BAD_SOURCE', 'XML is read as an e-invoice only; ask for document_type invoice');
  const einvoice = readEinvoice(bytes);
  if (einvoice === undefined) throw giveUp('BAD_SOURCE', 'expected an e-invoice in CII or UBL, got other XML');
  return { pageCount: 0, einvoice, issues: [], textOf: () => undefined, picture: async () => undefined };
}

function openPages(pdf: Pdf, type: DocumentType): Source {
  const { einvoice, issues } = type === 'document' ? { einvoice: undefined, issues: [] } : embedded(pdf);
  return {
    pageCount: pdf.pageCount,
    einvoice,
    issues,
    textOf: (index) => {
      const page = pdf.page(index);
      try {
        return { read: page.text(), covered: page.covered() };
      } finally {
        page.close();
      }
    },
    picture: async (index) => drawn(pdf, index, drawDpi.first),
    closer: async (index) => drawn(pdf, index, drawDpi.second),
  };
}

function drawn(pdf: Pdf, index: number, dpi: number): Picture | undefined {
  const page = pdf.page(index);
  try {
    return page.draw(dpi);
  } finally {
    page.close();
  }
}

/** The first attachment that is an invoice. One that is broken or hostile is not read; the print is, and a person looks. */
function embedded(pdf: Pdf): { readonly einvoice: Found | undefined; readonly issues: readonly string[] } {
  const issues: string[] = [];
  for (const { bytes } of pdf.xml) {
    try {
      const found = readEinvoice(bytes);
      if (found !== undefined) return { einvoice: found, issues: [] };
    } catch {
      issues.push('embedded_einvoice_unreadable');
    }
  }
  return { einvoice: undefined, issues };
}
