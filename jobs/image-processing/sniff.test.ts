import { expect, test } from 'vitest';
import { sniff } from './sniff.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const box = (brand: string): Buffer => bytes(`\0\0\0\x20ftyp${brand}\0\0\0\0`);

test.each([
  ['jpeg', bytes('\xFF\xD8\xFF\xE0rest')],
  ['png', bytes('\x89PNG\r\n\x1A\nrest')],
  ['gif', bytes('GIF89arest')],
  ['gif', bytes('GIF87a/*<script>*/=1')],
  ['webp', bytes('RIFF\0\0\0\0WEBPVP8 ')],
  ['tiff', bytes('II*\0rest')],
  ['tiff', bytes('MM\0*rest')],
  ['heif', box('avif')],
  ['heif', box('heic')],
  ['heif', box('mif1')],
  ['svg', bytes('<svg xmlns="http://www.w3.org/2000/svg"/>')],
  [
    'svg',
    bytes('\xEF\xBB\xBF<?xml version="1.0"?>\n<!-- a > b -->\n<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN">\n<svg>'),
  ],
  ['svg', bytes('<svg/>')],
  ['svg', bytes('<!DOCTYPE svg [ <!ENTITY a "b"> ]><svg>')],
] as const)('knows %s', (kind, head) => {
  expect(sniff(head)).toEqual({ state: 'known', kind });
});

test.each([
  ['an empty file', bytes('')],
  ['a BMP', bytes('BM\x3A\0\0\0')],
  ['a PDF', bytes('%PDF-1.7')],
  ['an image sequence in a HEIF container', box('avis')],
  ['an MP4 or another media container', box('isom')],
  ['no image', bytes('This is not an image.')],
  ['no image', bytes('<!DOCTYPE html><html><body><svg></svg>')],
  ['no image', bytes('x<svg>')],
  ['no image', bytes('#EXTM3U\n')],
  ['no image', bytes('\x1F\x8B\x08')],
] as const)('refuses %s', (what, head) => {
  expect(sniff(head)).toEqual({ state: 'refused', what });
});

test('does not take longer text for a start it has not seen', () => {
  for (const text of ['<!-- <svg>', '<?xml <svg>', '<!DOCTYPE svg [ <svg>', '<svgx>']) {
    expect(sniff(bytes(text))).toEqual({ state: 'refused', what: 'no image' });
  }
});

test('reads hostile starts in no time', () => {
  for (const start of ['<!-- ', '<?', '<!DOCTYPE [', ' ', '<!---->', '<?a?>', '<!DOCTYPE a []']) {
    const hostile = Buffer.from(start.repeat(Math.ceil(50_000 / start.length)));
    const tookMs = Array.from({ length: 5 }, () => {
      const before = performance.now();
      sniff(hostile);
      return performance.now() - before;
    });
    // The best of five: the others waited for a core.
    expect(Math.min(...tookMs)).toBeLessThan(5);
  }
});
