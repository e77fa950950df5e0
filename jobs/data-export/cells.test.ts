import { parse } from 'csv-parse/sync';
import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { type Cell, type Column, cellOf, guardFormula } from './cells.ts';
import { csvFormat, jsonFormat, jsonLinesFormat } from './text-formats.ts';

const column = (type: Column['type'], field = 'x'): Column => ({ field, header: field, type });

describe('the guard', () => {
  it.each([
    '=1+1',
    '+cmd|x',
    '-2+3',
    '@SUM(A1)',
    ' =1+1',
    '\n=1',
    '\t=1',
    '\tplain',
    '\rplain',
    '\0=1',
    '\u00a0=1',
    '\u200b=1',
    '\ufeff=1',
    '\u3000＝1',
    '＝1+1',
    '＋1',
    '－1',
    '＠a',
    '=',
    ' \n\t-x',
    '-5.2-1',
    '+91 98765 43210',
    ' -5.2',
  ])('turns %j into text', (text) => {
    expect(guardFormula(text)).toBe(`'${text}`);
  });

  it.each(['', 'a=1', '-5.2', '+91', '1e5', '-.5', 'x', ' x', '5-2', '−5', "'=1", '{"a":"=1"}', '"=1'])(
    'leaves %j alone',
    (text) => {
      expect(guardFormula(text)).toBe(text);
    },
  );

  it('is quick on texts that are made to be slow', () => {
    const startedAt = performance.now();
    for (const text of [' '.repeat(1e6), `${' \n'.repeat(5e5)}=`, `-${'1'.repeat(1e6)}x`, `-${'1.'.repeat(5e5)}`])
      guardFormula(text);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });
});

describe('a cell', () => {
  it.each([
    [null, 'text', null],
    [undefined, 'number', null],
    ['', 'text', ''],
    [5, 'text', '5'],
    [false, 'text', 'false'],
    ['00123456789012345678', 'text', '00123456789012345678'],
    [-0.5, 'number', -0.5],
    [false, 'boolean', false],
    ['2026-11-21T10:00:00+05:30', 'date', new Date('2026-11-21T04:30:00Z')],
    ['1899-12-31T00:00:00Z', 'date', new Date('1899-12-31T00:00:00Z')],
    [{ b: 1, a: [null] }, 'json', '{"a":[null],"b":1}'],
    ['text', 'json', '"text"'],
    ['******3210', 'number', '******3210'],
    ['[redacted]', 'boolean', '[redacted]'],
  ] as const)('of %j as %s is %j', (value, type, cell) => {
    expect(cellOf(value, column(type), 'id')).toEqual(cell);
  });

  it.each([
    ['5', 'number'],
    [Number.NaN, 'number'],
    [Number.POSITIVE_INFINITY, 'number'],
    [Number.NaN, 'text'],
    [0, 'boolean'],
    ['true', 'boolean'],
    [{}, 'text'],
    [[], 'text'],
    ['2026-11-21', 'date'],
    ['2026-11-21T10:00:00', 'date'],
    ['2026-13-41T10:00:00Z', 'date'],
    [1_763_700_000_000, 'date'],
  ] as const)('of %j as %s is refused, with its document and field', (value, type) => {
    expect(() => cellOf(value, column(type, 'amount'), 'doc-7')).toThrow(
      expect.objectContaining({ code: 'BAD_SOURCE', message: expect.stringMatching(/"doc-7".+"amount".+declared as/) }),
    );
  });
});

/** Every kind of cell, hostile ones first. */
const text = fc.oneof(
  fc.constantFrom(
    '=1',
    ' =1',
    '\t=1',
    '\r\n',
    '"',
    '""',
    ';',
    ',',
    'a"b',
    '＝1',
    '-5.2',
    '',
    ' ',
    '\ufeff',
    "'=1",
    '#',
    '12345678901234567890',
  ),
  fc.string({ unit: 'binary', maxLength: 12 }),
);
const cellByType: Readonly<Record<Column['type'], fc.Arbitrary<Cell>>> = {
  text: fc.oneof(text, fc.constant(null)),
  number: fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0),
    fc.integer(),
    fc.constant(null),
  ),
  boolean: fc.constantFrom(true, false, null),
  date: fc.oneof(fc.date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-01-01') }), fc.constant(null)),
  json: fc.oneof(fc.json(), fc.constant(null)),
};
const types = Object.keys(cellByType) as Column['type'][];
const tables = fc.array(fc.constantFrom(...types), { minLength: 1, maxLength: 5 }).chain((chosen) =>
  fc.record({
    columns: fc.constant(chosen.map((type, at): Column => ({ field: `f${at}`, header: `${at} ${type}`, type }))),
    rows: fc.array(fc.tuple(...chosen.map((type) => cellByType[type])), { minLength: 1, maxLength: 8 }),
  }),
);
const written = (cell: Cell): string => (cell === null ? '' : cell instanceof Date ? cell.toISOString() : String(cell));

/** Without the patterns of the guard: the first character that shows decides. */
function startsFormula(got: string): boolean {
  const first = Array.from(got).find((character) => character.trim() !== '' && !/\p{C}/u.test(character));
  return (
    first !== undefined && '=+-@＝＋－＠'.includes(first) && !Number.isFinite(Number(got === '' ? Number.NaN : got))
  );
}

test('what CSV is parsed to is what was written, but for the apostrophe of the guard, and no cell starts a formula', () => {
  let guarded = 0;
  fc.assert(
    fc.property(tables, ({ columns, rows }) => {
      const format = csvFormat(columns);
      const file = format.start + format.rows(rows, true) + format.end;
      const read: string[][] = parse(file, { bom: true, relax_column_count: false, record_delimiter: '\r\n' });
      expect(read[0]).toEqual(columns.map(({ header }) => header));
      const body = read.slice(1);
      const wrong = body.flatMap((row, at) =>
        row.filter((got, place) => {
          const plain = written(rows[at]?.[place] ?? null);
          if (got !== plain) guarded += 1;
          return (got !== plain && got !== `'${plain}`) || startsFormula(got);
        }),
      );
      expect(wrong).toEqual([]);
      expect(body).toHaveLength(rows.length);
    }),
    { numRuns: 2_000 },
  );
  expect(guarded).toBeGreaterThan(50);
});

test('null is empty, an empty text is quoted, and every other field too', () => {
  const columns = [column('text', 'a'), column('text', 'b'), column('number', 'c')];
  const format = csvFormat(columns);
  expect(format.start).toBe('\uFEFF"a","b","c"\r\n');
  expect(
    format.rows(
      [
        [null, '', 5],
        ['x;y', 'a"b', null],
      ],
      true,
    ),
  ).toBe(',"","5"\r\n"x;y","a""b",\r\n');
});

test('JSON and JSON Lines are parsed to what was written', () => {
  fc.assert(
    fc.property(tables, ({ columns, rows }) => {
      const wanted = rows.map((row) =>
        Object.fromEntries(
          columns.map(({ header, type }, at) => {
            const cell = row[at] ?? null;
            const value: unknown = type === 'json' && typeof cell === 'string' ? JSON.parse(cell) : cell;
            return [header, value instanceof Date ? value.toISOString() : value];
          }),
        ),
      );
      const json = jsonFormat(columns);
      const half = Math.floor(rows.length / 2);
      const parts = [rows.slice(0, half), rows.slice(half)].filter((part) => part.length > 0);
      const file = json.start + parts.map((part, at) => json.rows(part, at === 0)).join('') + json.end;
      expect(JSON.parse(file)).toEqual(wanted);
      const lines = jsonLinesFormat(columns).rows(rows, true).split('\n');
      expect(lines.pop()).toBe('');
      expect(lines.map((line): unknown => JSON.parse(line))).toEqual(wanted);
    }),
    { numRuns: 2_000 },
  );
  const empty = jsonFormat([]);
  expect(JSON.parse(empty.start + empty.end)).toEqual([]);
});
