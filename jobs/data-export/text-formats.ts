/** CSV, JSON and JSON Lines, a batch of rows at a time. Pure. */
import { stringify } from 'csv-stringify/sync';
import { type Cell, type Column, guardFormula } from './cells.ts';

/** A format that can be written as its rows come. */
export interface TextFormat {
  readonly start: string;
  rows(rows: readonly (readonly Cell[])[], isFirst: boolean): string;
  readonly end: string;
}

const csvOptions = { quoted: true, quoted_string: true, record_delimiter: '\r\n' } as const;

/**
 * RFC 4180: CRLF, quotes doubled, every field quoted so that no program guesses another separator; a byte order mark for
 * spreadsheets. Only null is an empty field without quotes.
 */
export function csvFormat(columns: readonly Column[]): TextFormat {
  const header = columns.map((column) => guardFormula(column.header));
  return {
    start: `\uFEFF${stringify([header], csvOptions)}`,
    rows: (rows) =>
      stringify(
        rows.map((row) => row.map(csvField)),
        csvOptions,
      ),
    end: '',
  };
}

function csvField(cell: Cell): string | null {
  if (cell === null) return null;
  if (typeof cell === 'string') return guardFormula(cell);
  return cell instanceof Date ? cell.toISOString() : String(cell);
}

/** One object a row, keyed by the headers; `json` columns are values, not text. */
function objectOf(columns: readonly Column[], row: readonly Cell[]): string {
  const fields = columns.map(({ header, type }, at) => {
    const cell = row[at] ?? null;
    return `${JSON.stringify(header)}:${type === 'json' && typeof cell === 'string' ? cell : JSON.stringify(cell)}`;
  });
  return `{${fields.join(',')}}`;
}

export function jsonLinesFormat(columns: readonly Column[]): TextFormat {
  return { start: '', rows: (rows) => rows.map((row) => `${objectOf(columns, row)}\n`).join(''), end: '' };
}

export function jsonFormat(columns: readonly Column[]): TextFormat {
  return {
    start: '[',
    rows: (rows, isFirst) => `${isFirst ? '' : ','}\n${rows.map((row) => objectOf(columns, row)).join(',\n')}`,
    end: '\n]\n',
  };
}
