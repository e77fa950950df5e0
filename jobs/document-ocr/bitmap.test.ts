import { describe, expect, it } from 'vitest';
import { readBmp, readPnm } from './bitmap.ts';
import { overallOf, statusOf } from './confidence.ts';
import { readTsv } from './engine.ts';
import { sizeForEngine, sizeForReading } from './sizes.ts';
import { sniff } from './sniff.ts';
import { meanConfidence } from './words.ts';

function bmp(
  bits: number,
  width: number,
  height: number,
  rows: readonly number[],
  palette: readonly number[] = [],
): Buffer {
  const head = Buffer.alloc(54);
  head.write('BM');
  head.writeUInt32LE(54 + palette.length, 10);
  head.writeUInt32LE(40, 14);
  head.writeInt32LE(width, 18);
  head.writeInt32LE(height, 22);
  head.writeUInt16LE(bits, 28);
  head.writeUInt32LE(palette.length / 4, 46);
  return Buffer.concat([head, Buffer.from(palette), Buffer.from(rows)]);
}

describe('BMP', () => {
  it('of 24 bits is read from its last row up, and downwards where its height is negative', () => {
    const rows = [1, 2, 3, 0, 4, 5, 6, 0];
    expect([...readBmp(bmp(24, 1, 2, rows)).data]).toEqual([6, 5, 4, 3, 2, 1]);
    expect([...readBmp(bmp(24, 1, -2, rows)).data]).toEqual([3, 2, 1, 6, 5, 4]);
  });

  it('with a palette is looked up in it', () => {
    const palette = [0, 0, 0, 0, 255, 255, 255, 0];
    expect([...readBmp(bmp(1, 2, 1, [0b0100_0000, 0, 0, 0], palette)).data]).toEqual([0, 0, 0, 255, 255, 255]);
  });

  it.each([
    ['cut off', bmp(24, 100, 100, [1, 2, 3])],
    ['without a size', bmp(24, 0, 5, [])],
    ['of 7 bits', bmp(7, 1, 1, [0, 0, 0, 0])],
    ['a header only', Buffer.from('BM')],
  ])('%s is refused', (_, bytes) => {
    expect(() => readBmp(bytes)).toThrow(expect.objectContaining({ code: 'BAD_SOURCE' }));
  });

  it('of 10 gigapixels is over the limit before a byte is made', () => {
    expect(() => readBmp(bmp(24, 100_000, 100_000, []))).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }));
  });
});

describe('PNM', () => {
  it.each([
    ['P1\n# a remark\n2 1\n1 0', [0, 255]],
    ['P2 2 1 15 15 0', [255, 0]],
    ['P3 1 1 255 1 2 3', [1, 2, 3]],
    ['P4 2 1\n\x80', [0, 255]],
    ['P5 2 1 255\n\x01\x02', [1, 2]],
    ['P6 1 1 255\n\x01\x02\x03', [1, 2, 3]],
  ])('%o', (text, pixels) => {
    expect([...readPnm(Buffer.from(text, 'latin1')).data]).toEqual(pixels);
  });

  it.each(['P5 2 1 65535\n1234', 'P5 9 9 255\nx', 'P2 9 9 255 1 2', 'P5', 'P5 0 4 255\n'])('%o is refused', (text) => {
    expect(() => readPnm(Buffer.from(text, 'latin1'))).toThrow(expect.objectContaining({ code: 'BAD_SOURCE' }));
  });
});

describe('sizes', () => {
  it('draws pages at the wanted fineness, within 12 megapixels', () => {
    expect(sizeForEngine(595, 842, 200)).toMatchObject({ width: 1_652, height: 2_338, dpi: 200 });
    const poster = sizeForEngine(14_400, 14_400, 200);
    expect((poster?.width ?? 0) * (poster?.height ?? 0)).toBeLessThanOrEqual(12_000_000);
    expect(sizeForEngine(0, 842, 200)).toBeUndefined();
    expect(sizeForEngine(Number.NaN, 842, 200)).toBeUndefined();
    expect(sizeForEngine(0.001, 1e12, 200)).toBeUndefined();
  });

  it('enlarges small scans of pages only', () => {
    expect(sizeForReading({ width: 827, height: 1_169 }, true)).toEqual({ width: 1_700, height: 2_403 });
    expect(sizeForReading({ width: 827, height: 1_169 }, false)).toEqual({ width: 827, height: 1_169 });
    expect(sizeForReading({ width: 800, height: 2_400 }, true)).toEqual({ width: 800, height: 2_400 });
    expect(sizeForReading({ width: 480, height: 640 }, true)).toEqual({ width: 480, height: 640 });
    const large = sizeForReading({ width: 7_000, height: 7_000 }, true);
    expect(large.width * large.height).toBeLessThanOrEqual(12_000_000);
  });
});

describe('the first bytes', () => {
  it.each([
    ['%PDF-1.7', 'pdf'],
    ['junk\n%PDF-1.4', 'pdf'],
    ['\ufeff<?xml version="1.0"?><Invoice/>', 'xml'],
    ['<rsm:CrossIndustryInvoice >', 'xml'],
    ['P4\n1 1\n', 'pnm'],
    ['GIF89a', 'gif'],
  ])('of %o say %s', (text, kind) => {
    expect(sniff(Buffer.from(text))).toEqual({ state: 'known', kind });
  });

  it.each(['', 'PK\x03\x04', '<html><body>', '<!doctype html>', '<svg xmlns="x">', 'hello', '{"a":1}'])(
    'of %o are refused',
    (text) => {
      expect(sniff(Buffer.from(text)).state).toBe('refused');
    },
  );
});

describe('the answer of an engine', () => {
  it('gives words with places, and text with its lines and paragraphs', () => {
    const row = (block: number, line: number, text: string, confidence: number | string): string =>
      `5\t1\t${block}\t1\t${line}\t1\t10\t20\t30\t40\t${confidence}\t${text}`;
    const tsv = [
      'level\tpage',
      row(1, 1, 'a', 96),
      row(1, 1, 'b', 50),
      row(1, 2, 'c', -1),
      row(2, 1, 'd', 'NaN'),
      row(2, 2, ' ', 95),
    ].join('\n');
    const { words, text } = readTsv(tsv);
    expect(text).toBe('a b\nc\n\nd');
    expect(words.map(({ confidence }) => confidence)).toEqual([0.96, 0.5, 0, 0]);
    expect(words[0]?.box).toEqual({ left: 10, top: 20, right: 40, bottom: 60 });
    expect(readTsv('')).toEqual({ words: [], text: '' });
  });

  it('takes a confidence that is no number, or none from 0 to 100, for no confidence, and 0 for 0', () => {
    const said = ['nan', '-nan', 'inf', '-1', '101', '', '0', '96.5'];
    const tsv = said.map((conf, n) => ['5', 1, 1, 1, 1, n, 10 * n, 10, 9, 12, conf, `w${n}`].join('\t')).join('\n');
    const { words } = readTsv(tsv);
    expect(words.map(({ confidence }) => confidence)).toEqual([0, 0, 0, 0, 1, 0, 0, 0.965]);
    expect(meanConfidence(words)).toBeCloseTo(1.965 / 8, 10);
    const overall = overallOf('document', { text: meanConfidence(words) ?? 0 });
    const facts = { scores: { text: overall }, issues: [], thresholds: { overall: 0.85, fields: {} } } as const;
    expect(statusOf({ type: 'document', overall, ...facts })).toBe('review_required');
  });
});
