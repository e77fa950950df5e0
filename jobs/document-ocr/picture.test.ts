import sharp from 'sharp';
import { expect, it } from 'vitest';
import { isBlank } from './picture.ts';

const width = 200;
const height = 100;

/** Samples by their number; what libvips says of the deviation is what counts. */
async function judged(channels: 1 | 3, sample: (at: number) => number) {
  const data = Buffer.from(Uint8Array.from({ length: width * height * channels }, (_, at) => sample(at)));
  const { channels: stats } = await sharp(data, { raw: { width, height, channels } }).stats();
  return { ours: isBlank({ data, channels }), libvips: stats.every(({ stdev }) => stdev < 1) };
}

it.each([
  ['white paper', 1, () => 255, true],
  ['coloured paper', 3, (at: number) => [240, 200, 90][at % 3] ?? 0, true],
  ['the noise of a scanner', 1, (at: number) => 250 + (at % 2), true],
  ['more noise than that', 1, (at: number) => 250 + (at % 4), false],
  ['one short word at the very end', 1, (at: number) => (at > width * height - 5 ? 0 : 255), false],
  ['a dot that says nothing', 3, (at: number) => (at < 1 ? 140 : 255), true],
  ['something in one colour only', 3, (at: number) => (at % 3 === 2 && at % 300 < 30 ? 0 : 255), false],
] as const)('tells a blank page: %s', async (_title, channels, sample, isEmpty) => {
  expect(await judged(channels, sample)).toEqual({ ours: isEmpty, libvips: isEmpty });
});
