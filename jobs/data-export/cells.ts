/** What stands in a cell, by the declared type of its column. Pure. */
import { giveUp } from '../errors.ts';

export type ColumnType = 'text' | 'number' | 'boolean' | 'date' | 'json';

export interface Column {
  readonly field: string;
  readonly header: string;
  readonly type: ColumnType;
}

/** Null is the only empty cell. */
export type Cell = string | number | boolean | Date | null;

/** RFC 3339 with seconds; an instant without a zone could be any of 27 hours. */
const instant = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/** Masked values are text whatever their column says. */
const masks = /\*|^\[redacted\]$/;

/** Throws `BAD_SOURCE` for a value that its column cannot hold. */
export function cellOf(value: unknown, column: Column, id: string): Cell {
  if (value === null || value === undefined) return null;
  switch (column.type) {
    case 'text':
      if (typeof value === 'string') return value;
      if (typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) return String(value);
      break;
    case 'number':
      if (typeof value === 'number' && Number.isFinite(value)) return value;
      break;
    case 'boolean':
      if (typeof value === 'boolean') return value;
      break;
    case 'date': {
      const date = typeof value === 'string' && instant.test(value) ? new Date(value) : undefined;
      if (date !== undefined && !Number.isNaN(date.getTime())) return date;
      break;
    }
    case 'json':
      return JSON.stringify(sorted(value));
  }
  if (typeof value === 'string' && masks.test(value)) return value;
  throw giveUp(
    'BAD_SOURCE',
    `The document "${id.slice(0, 100)}" has ${describe(value)} in "${column.field}"; its column is declared as ${column.type}. Declare it as text or json, or leave the document out.`,
  );
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return 'text';
  if (typeof value === 'number') return Number.isFinite(value) ? 'a number' : 'a number that is none';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** Stores do not keep the order of fields; the same document gives the same text. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([field, item]) => [field, sorted(item)]),
  );
}

/** What a spreadsheet passes over before it looks for a formula: blanks of all kinds, controls, marks without width. */
const passedOver = /^[\s\p{Cc}\p{Cf}\p{Z}]+/u;
const formulaStart = /^[=+\-@\uff1d\uff0b\uff0d\uff20]/;
const plainNumber = /^[+-]?(?:\d{1,400}(?:\.\d{0,400})?|\.\d{1,400})(?:[eE][+-]?\d{1,4})?$/;

/**
 * A spreadsheet executes a cell that begins with = + - or @, also behind blanks and in full width, and quoting does not
 * help (CWE-1236): an apostrophe in front makes it text. A plain number such as -5.2 is no formula and stays.
 */
export function guardFormula(text: string): string {
  if (/^[\t\r]/.test(text)) return `'${text}`;
  const start = text.replace(passedOver, '');
  return formulaStart.test(start) && !plainNumber.test(text) ? `'${text}` : text;
}
