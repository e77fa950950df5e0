/** What each document of TEST_DATA says, held against what was read of it: by a fleet, or by the handler alone. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Result } from '../../jobs/define.ts';
import type documentOcr from '../../jobs/document-ocr/job.ts';
import { allowedErrors, type DocumentEntry, errorRate, goldOf, isPage } from './document-corpus.ts';
import { sharedData } from './shared-data.ts';

type Output = Result<typeof documentOcr>;

/** One of the two. */
export interface ReadDocument {
  readonly output?: Output | undefined;
  /** Of the dead letter. */
  readonly code?: string | undefined;
}

export interface Comparison {
  /** For people. */
  readonly expected: string;
  readonly got: string;
  /** For the assertion: equal when all is well. */
  readonly wanted: unknown;
  readonly found: unknown;
}

const json = (file: string): unknown => JSON.parse(readFileSync(join(sharedData, file), 'utf8'));
const letters = (text: string): string => text.toUpperCase().replaceAll(/[^A-Z0-9]/g, '');

export function compareDocument(entry: DocumentEntry, read: ReadDocument): Comparison {
  const { file, type } = entry;
  if (file === 'invoices/libreoffice-writer-password.pdf') return compareCode('BAD_SOURCE', read);
  if (read.output === undefined) return { ...compareCode('a result', read), wanted: undefined };
  if (isPage(entry)) return compareText(entry, read.output);
  if (type === 'receipt') return compareReceipt(file, read.output);
  if (entry.facts.xml !== undefined) return compareXml(entry, entry.facts.xml, read.output);
  const special = specials[file];
  return special === undefined ? comparePrinted(file, read.output) : special(read.output);
}

function compareCode(wanted: string, { output, code = output?.status ?? '' }: ReadDocument): Comparison {
  return { expected: wanted, got: code, wanted, found: code };
}

function compareText(entry: DocumentEntry, { extracted_data: data }: Output): Comparison {
  const rate = errorRate(data.text ?? '', goldOf(entry));
  const most = allowedErrors(entry);
  const expected = `CER at most ${most.toFixed(3)}`;
  return { expected, got: rate.toFixed(3), wanted: 0, found: Math.max(0, rate - most) };
}

const receiptKey = z.object({ company: z.string(), date: z.string(), address: z.string(), total: z.string() });

export interface ReceiptField {
  readonly field: string;
  readonly want: string;
  readonly got: string | undefined;
  readonly score: number;
}

/** Every field with a label on the key of the receipt: what it should be, what it is, how sure. */
export function receiptFields(file: string, output: Output | undefined): ReceiptField[] {
  const key = receiptKey.parse(json(file.replace('.jpg', '.json')));
  const { extracted_data: data, confidence_scores: scores } = output ?? {};
  return [
    { field: 'total_amount', want: key.total.replaceAll(/[^\d.]/g, ''), got: data?.total_amount?.toFixed(2) },
    { field: 'date', want: keyDate(key.date), got: data?.date },
    { field: 'seller_name', want: letters(key.company), got: letters(data?.seller_name ?? '') },
    { field: 'seller_address', want: letters(key.address), got: letters(data?.seller_address ?? '') },
  ]
    .filter(({ want }) => want !== '')
    .map((one) => ({ ...one, score: scores?.[one.field] ?? 0 }));
}

/** Fields that count: `OCR_CONFIDENCE_THRESHOLD`. */
export function isSure({ score }: ReceiptField): boolean {
  return score >= 0.85;
}

/** `25/12/2018`, `19-03-2018`, `10 MAR 2018`, `25/FEB/2017`, `20180428`, `04/03/18`: day first, as Malaysia writes. */
function keyDate(text: string): string {
  const [, year, month, day] = /^(\d{4})(\d{2})(\d{2})$/.exec(text) ?? [];
  if (year !== undefined) return `${year}-${month}-${day}`;
  const [first = '', second = '', third = ''] = text.split(/[ /-]/);
  const named = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'].indexOf(second);
  const number = named < 0 ? second : String(named + 1).padStart(2, '0');
  return `${third.length === 2 ? `20${third}` : third}-${number}-${first}`;
}

/** What is sure is right, and of a completed one all that decides. */
function compareReceipt(file: string, output: Output): Comparison {
  const fields = receiptFields(file, output);
  const decides = ({ field }: ReceiptField): boolean => output.status === 'completed' && field !== 'seller_address';
  const wrong = fields.filter((one) => (isSure(one) || decides(one)) && one.want !== one.got);
  const text = fields.map(
    ({ field, want, got, score }) => `${field} ${score.toFixed(2)} ${want === got ? 'right' : 'wrong'}`,
  );
  return {
    expected: `of ${fields.length} fields no sure one wrong`,
    got: `${output.status}: ${text.join(', ')}`,
    wanted: [],
    found: wrong.map(({ field, want, got }) => `${field} ${want} ${got}`),
  };
}

const sumCases = z.object({
  invoice: z.object({
    sum_cases: z.array(z.looseObject({ file: z.string(), line_items_sum_matches_total: z.unknown() })),
  }),
});

/** What the worked examples say of lines against the total; undefined for files that are none of them. */
function sumOf(file: string): boolean | undefined {
  const found = sumCases.parse(json('domain-examples.json')).invoice.sum_cases.find((one) => one.file === file);
  if (found === undefined) return undefined;
  const { line_items_sum_matches_total: said } = found;
  // One case is true only for who knows that a levy is contained in the line above; it must not pass.
  return typeof said === 'boolean' ? said : false;
}

/** Lines that do not add up must be looked at. */
function compareSum(file: string, { status, validation }: Output): readonly [wanted: unknown, found: unknown] {
  const adds = sumOf(file);
  if (adds === undefined) return [undefined, undefined];
  const isRight = adds ? status !== 'failed' : status === 'review_required';
  return [
    { adds, isRight: true },
    { adds: validation.line_items_sum_matches_total, isRight },
  ];
}

function compareXml(
  { file }: DocumentEntry,
  xml: NonNullable<DocumentEntry['facts']['xml']>,
  output: Output,
): Comparison {
  const { extracted_data: data, validation, status, source, confidence_scores: scores } = output;
  const cents = (data.line_items ?? []).reduce((all, { amount }) => all + Math.round(amount * 100), 0);
  const [wantedSum, foundSum] = compareSum(file, output);
  const issues: Readonly<Record<string, readonly string[]>> = {
    // Quantity × price is a check of its own.
    'invoices/invalidArithmetics.xml': ['line_1_quantity_times_price_mismatch'],
    'invoices/roundingDifferenceIsInTolerance.xml': [],
  };
  const { number, date, currency, net, tax, gross, due, lines, sum_of_lines } = xml;
  const found = {
    number: data.invoice_number,
    date: data.date,
    currency: data.currency,
    net: data.net_amount,
    gross: data.total_amount,
    lines: data.line_items?.length,
    sum_of_lines: cents / 100,
    tax: tax === undefined ? undefined : data.tax_amount,
    due: due === undefined ? undefined : data.amount_due,
    source,
    overall: scores.overall,
    sum: foundSum,
    issues: issues[file] === undefined ? undefined : [validation.issues, status],
  };
  const day = date.replaceAll('-', '').replace(/(\d{4})(\d{2})(\d{2})/, '$1-$2-$3');
  const wantedIssues = issues[file];
  const wanted = {
    number,
    date: day,
    currency,
    net,
    gross,
    lines,
    sum_of_lines,
    tax,
    due,
    source: 'e_invoice',
    overall: 1,
    sum: wantedSum,
    issues: wantedIssues && [wantedIssues, wantedIssues.length === 0 ? 'completed' : 'review_required'],
  };
  const text = (of: typeof found): string => `${of.number} ${of.gross} ${of.currency}, ${of.lines} lines`;
  return {
    expected: text({ ...found, number, gross, currency, lines }),
    got: `${text(found)}: ${status}`,
    wanted,
    found,
  };
}

const printedKey = z.array(
  z.looseObject({
    invoice_number: z.string(),
    date: z.string(),
    amount: z.number().optional(),
    currency: z.string(),
  }),
);

function comparePrinted(file: string, output: Output): Comparison {
  const { extracted_data: data, source, status } = output;
  const [key] = printedKey.parse(json(file.replace(/\.\w+$/, '.json')));
  const [wantedSum, foundSum] = compareSum(file, output);
  // Its header is a picture: that is read by OCR, the rest from the text.
  const isMixed = file === 'invoices/saeco.pdf';
  const found = {
    number: data.invoice_number,
    date: data.date,
    total: data.total_amount,
    currency: data.currency,
    sum: foundSum,
    header: isMixed ? [source, letters(data.seller_name ?? '')] : undefined,
  };
  const wanted = {
    number: key?.invoice_number,
    date: key?.date,
    // The key of the one without an amount leaves it out; its pages print it.
    total: key?.amount ?? 127.5,
    currency: key?.currency,
    sum: wantedSum,
    header: isMixed ? ['mixed', 'ELUSCIOUSNEDERLANDBV'] : undefined,
  };
  return {
    expected: `${wanted.number} ${wanted.total} ${wanted.currency}`,
    got: `${found.number} ${found.total} ${found.currency}: ${status}`,
    wanted,
    found,
  };
}

const compareStatus =
  (wanted: Output['status'], start = '') =>
  ({ status, extracted_data: data }: Output): Comparison => ({
    expected: wanted,
    got: status,
    wanted: [wanted, true],
    found: [status, (data.text ?? '').includes(start)],
  });

/** At least so many of the pages are read that well: turned ones are upright. */
const compareConfidence =
  (pages: number, least: number) =>
  ({ page_confidence: means }: Output): Comparison => ({
    expected: `${pages} pages at ${least} or more`,
    got: means.join(' '),
    wanted: pages,
    found: means.filter((mean) => mean >= least).length,
  });

const specials: Readonly<Record<string, (output: Output) => Comparison>> = {
  'invoices/helloworld-bad.pdf': compareStatus('completed', 'Hello, world!'),
  'invoices/minimal-document.pdf': compareStatus('failed'),
  'invoices/no_contents.pdf': compareStatus('failed'),
  'invoices/pdflatex-4-pages.pdf': compareStatus('completed', 'Hello, here is some text without a meaning.'),
  'ocr/cardinal.pdf': compareConfidence(4, 0.94),
  'ocr/skew.pdf': compareConfidence(1, 0.93),
  'ocr/bill.png': ({ extracted_data: data }) => {
    const rows = (data.text ?? '').match(/^0[12]Aug2018 .* [\d,]+\.\d{2}/gm)?.length ?? 0;
    return { expected: '11 rows of the account', got: `${rows}`, wanted: true, found: rows >= 11 };
  },
  'ocr/escape_chars.png': ({ extracted_data: data }) => {
    const wanted = ['"Double Quotes"', 'Back \\ Slash'];
    const found = (data.text ?? '').split('\n');
    return { expected: wanted.join(', '), got: found.join(', '), wanted, found };
  },
};
