import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { maxSide, planSizes } from './variants.ts';

const widths = [320, 640, 960, 1_280, 1_920];
const text = (size: readonly [number, number], asked: readonly number[] = widths): string[] =>
  planSizes({ width: size[0], height: size[1] }, asked).map(({ width, height }) => `${width}x${height}`);

test('makes every width the source has, widest first, with heights rounded half up', () => {
  expect(text([2_736, 4_104])).toEqual(['1920x2880', '1280x1920', '960x1440', '640x960', '320x480']);
  expect(text([1_600, 647])).toEqual(['1280x518', '960x388', '640x259', '320x129']);
  expect(text([400, 1], [200, 100])).toEqual(['200x1', '100x1']);
  expect(text([4, 2], [3])).toEqual(['3x2']);
});

test('never enlarges: a smaller source gives one variant of its own size', () => {
  expect(text([319, 200])).toEqual(['319x200']);
  expect(text([2, 2])).toEqual(['2x2']);
  expect(text([320, 200])).toEqual(['320x200']);
});

test('makes no width twice', () => {
  expect(text([1_000, 1_000], [320, 320, 640, 320])).toEqual(['640x640', '320x320']);
});

test('shrinks what is longer than the formats can hold', () => {
  expect(text([300, 60_000])).toEqual(['81x16200']);
  expect(text([65_500, 10])).toEqual(['1920x1', '1280x1', '960x1', '640x1', '320x1']);
  expect(text([1, 50_000])).toEqual(['1x16383']);
});

test('any source gives at least one size, all within the source and the formats', () => {
  const side = fc.integer({ min: 1, max: 65_535 });
  fc.assert(
    fc.property(side, side, fc.array(fc.integer({ min: 1, max: 8_192 }), { minLength: 1 }), (width, height, asked) => {
      const sizes = planSizes({ width, height }, asked);
      expect(sizes.length).toBeGreaterThan(0);
      for (const size of sizes) {
        expect(size.width).toBeGreaterThanOrEqual(1);
        expect(size.width).toBeLessThanOrEqual(Math.min(width, maxSide));
        expect(size.height).toBeGreaterThanOrEqual(1);
        expect(size.height).toBeLessThanOrEqual(Math.min(height, maxSide));
      }
    }),
    { numRuns: 5_000 },
  );
});
