/** XLSX, built in memory: what does not fit is refused before the library makes a broken workbook of it. */
import writeXlsxFile, { type Cell as SheetCell } from 'write-excel-file/node';
import { giveUp } from '../errors.ts';
import type { Cell, Column } from './cells.ts';

const maxCellCharacters = 32_767;
/** Of a double; the library writes wrong digits beyond. */
const maxDigits = 999_999_999_999_999;
/** Excel believes in a 29 February 1900; the library counts without it. */
const firstDay = Date.UTC(1900, 2, 1);
const lastDay = Date.UTC(9999, 11, 31, 23, 59, 59);
/** About 400 MB of memory. */
export const maxXlsxCells = 1_000_000;

/** The whole workbook. Throws `LIMIT_EXCEEDED` naming CSV for more cells or longer text than it can hold. */
export async function xlsxFile(columns: readonly Column[], rows: readonly (readonly Cell[])[]): Promise<Buffer> {
  const header = columns.map((column): SheetCell => ({ ...textCell(column.header), fontWeight: 'bold' }));
  const body = rows.map((row) => columns.map(({ header: name }, at) => sheetCell(row[at] ?? null, name)));
  return writeXlsxFile([header, ...body], { sheet: 'Export', stickyRowsCount: 1 }).toBuffer();
}

function textCell(value: string): { readonly type: StringConstructor; readonly value: string } {
  return { type: String, value };
}

/** Text is a string cell, so that `=1+1` stays text. */
function sheetCell(cell: Cell, column: string): SheetCell {
  if (cell === null || cell === '') return null;
  if (typeof cell === 'boolean') return { type: Boolean, value: cell };
  if (typeof cell === 'number')
    return Number.isInteger(cell) && Math.abs(cell) > maxDigits
      ? textCell(String(cell))
      : { type: Number, value: cell };
  if (cell instanceof Date) {
    const time = cell.getTime();
    return time < firstDay || time > lastDay
      ? textCell(cell.toISOString())
      : { type: Date, value: cell, format: 'yyyy-mm-dd hh:mm:ss' };
  }
  if (cell.length > maxCellCharacters)
    throw giveUp(
      'LIMIT_EXCEEDED',
      `A text in "${column}" has ${cell.length} characters; a cell of XLSX holds ${maxCellCharacters}. Export CSV or JSON Lines.`,
    );
  return textCell(cell);
}
