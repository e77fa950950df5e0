/**
 * What the worked examples and the manifest say of single images of the shared test data: sizes, frames, turns, colours,
 * metadata. That each image ends as its row says is shown with a fleet, in tests/media-fleet.data.test.ts.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { bytesOf, imageEntries as images, inspect, type Variant } from '../../tests/support/image-corpus.ts';
import { sharedData as folder } from '../../tests/support/shared-data.ts';
import { type JobRun, runJob } from '../../workers/testing.ts';
import type { Result } from '../define.ts';
import handler from './handler.ts';
import type job from './job.ts';

const isHere = images.length > 0;
const size = z.object({ width: z.number(), height: z.number() });
const examplesSchema = z.object({
  image_variants: z.object({
    cases: z.array(z.object({ source: z.string(), size: z.string(), variants: z.array(size) })),
    checked: z.array(
      z.looseObject({
        file: z.string(),
        frames: z.number().optional(),
        plays: z.union([z.number(), z.literal('forever')]).optional(),
        delays_ms: z.array(z.number()).optional(),
        limit: z.number().optional(),
      }),
    ),
  }),
});

const json = async (name: string): Promise<unknown> => JSON.parse(await readFile(join(folder, name), 'utf8'));
const { cases, checked } = isHere
  ? examplesSchema.parse(await json('domain-examples.json')).image_variants
  : { cases: [], checked: [] };

const run = async (file: string, payload: object = {}): Promise<JobRun> =>
  runJob(
    handler,
    { source: 'object:t/-/input', ...payload },
    { inputs: { input: await readFile(join(folder, file)) } },
  );

const variantsOf = (done: JobRun): Variant[] => {
  if (done.error !== undefined) throw done.error;
  // runJob has parsed it with the job's own schema.
  return (done.result as Result<typeof job>).variants;
};

/** Mean absolute difference, 0–255. */
const difference = (a: Uint8Array, b: Uint8Array): number =>
  a.reduce((sum, value, at) => sum + Math.abs(value - (b[at] ?? 0)), 0) / a.length;

/** An animation as pixels per frame on white, and what is shown at a time. `plays` 0 = for ever. */
async function film(bytes: Buffer, size?: { readonly width: number; readonly height: number }) {
  const facts = await sharp(bytes, { animated: true }).metadata();
  const { data } = await sharp(bytes, { animated: true })
    .resize(size?.width, size?.height, { fit: 'fill' })
    .flatten({ background: '#ffffff' })
    .raw()
    .toBuffer({ resolveWithObject: true });
  const delays = facts.delay ?? [];
  const each = data.length / delays.length;
  const frames = delays.map((_, at) => data.subarray(at * each, (at + 1) * each));
  const ends = delays.map((_, at) => delays.slice(0, at + 1).reduce((sum, delayMs) => sum + delayMs, 0));
  const at = (ms: number): Buffer => frames[ends.findIndex((endMs) => ms < endMs)] ?? Buffer.alloc(0);
  return { frames, delays, plays: facts.loop ?? 0, totalMs: ends.at(-1) ?? 0, at };
}

const label = (width: number, height: number): string => `${width}x${height}`;

describe.skipIf(!isHere)('the image corpus', () => {
  test.each(images.filter(({ facts }) => facts.sharp.startsWith('variant')))(
    '$file: the narrowest variant is as sharp measured at 320',
    async ({ file, facts }) => {
      await using done = await run(file, { widths: [320], formats: ['webp'] });
      const [only] = variantsOf(done);
      expect(`variant ${label(only?.width ?? 0, only?.height ?? 0)}`).toBe(facts.sharp);
    },
  );

  test.each(['racecar_rotated.jpg', 'Portrait_5.jpg', 'baiona_alpha.png', 'rotating-squares.gif', 'check.svg'])(
    '%s: two runs give the same keys and bytes',
    async (name) => {
      await using first = await run(`images/${name}`, { widths: [320, 640] });
      await using second = await run(`images/${name}`, { widths: [320, 640] });
      expect(second.result).toEqual(first.result);
      for (const variant of variantsOf(first)) {
        expect((await bytesOf(first.objects, variant)).equals(await bytesOf(second.objects, variant))).toBe(true);
      }
    },
  );
});

describe.skipIf(!isHere)('[image_variants]', () => {
  test.each(cases)('$source gives the sizes of the example', async ({ source, variants }) => {
    await using done = await run(source.replace(' (upright)', ''), { formats: ['jpeg'] });
    const got = variantsOf(done).map(({ width, height }) => ({ width, height }));
    expect(got.toReversed()).toEqual(variants);
  });

  test.each(checked.filter(({ frames }) => frames !== undefined))(
    '$file keeps frames, plays and delays',
    async (row) => {
      await using done = await run(row.file, { widths: [320], formats: ['webp'] });
      const [variant] = variantsOf(done);
      const got = await film(await bytesOf(done.objects, variant));
      const source = await film(await readFile(join(folder, row.file)), variant);
      expect(source.frames.length).toBe(row.frames);
      expect(row.delays_ms ?? source.delays).toEqual(source.delays);
      expect(got.plays).toBe(source.plays);
      const plays = got.plays === 0 ? 'forever' : got.plays;
      expect(row.plays ?? plays).toBe(plays);
      // The WebP encoder shows equal neighbours as one frame that stands longer; nothing else may be merged.
      const distinct = source.frames.filter((frame, at) => source.frames[at - 1]?.equals(frame) !== true);
      expect(got.frames.length).toBe(distinct.length);
      expect(got.totalMs).toBe(source.totalMs);
      let startsMs = 0;
      for (const [at, frame] of source.frames.entries()) {
        expect(difference(got.at(startsMs), frame)).toBeLessThan(6);
        startsMs += source.delays[at] ?? 0;
      }
    },
  );

  test.each(checked.filter(({ limit }) => limit !== undefined))(
    '$file stays near its RGB sibling',
    async ({ file, limit }) => {
      const pixels = async (source: string): Promise<Uint8Array> => {
        await using done = await run(source, { widths: [160], formats: ['png'] });
        return sharp(await bytesOf(done.objects, variantsOf(done)[0]))
          .removeAlpha()
          .raw()
          .toBuffer();
      };
      const [cmyk, rgb] = [await pixels(file), await pixels('images/baiona_color.jpg')];
      expect(cmyk.length).toBe(rgb.length);
      expect(difference(cmyk, rgb)).toBeLessThan(limit ?? 0);
    },
  );

  test.each(['IMG_20180725_163423-tiny.jpg', 'png_with_exif_and_gps.png', 'paris_icc_exif_xmp.avif'])(
    'images/%s: no EXIF, GPS, ICC or XMP is left in any variant',
    async (name) => {
      await using done = await run(`images/${name}`, { formats: ['jpeg', 'png', 'webp', 'avif'] });
      for (const variant of variantsOf(done)) {
        const { facts, bytes } = await inspect(done.objects, variant);
        expect(facts).not.toHaveProperty('exif');
        expect(facts).not.toHaveProperty('xmp');
        expect(facts).not.toHaveProperty('icc');
        for (const mark of ['Exif\0', 'GPS', 'http://ns.adobe.com/xap', 'ICC_PROFILE']) {
          expect(bytes.includes(mark)).toBe(false);
        }
      }
    },
  );

  test.each(Array.from({ length: 8 }, (_, n) => n + 1))('EXIF orientation %i stands upright', async (orientation) => {
    const suffix = ['ul', 'ur', 'lr', 'lol', 'lu', 'ru', 'rl', 'llo'][orientation - 1];
    await using done = await run(`images/exif-orientation-${orientation}-${suffix}.jpg`, { formats: ['png'] });
    const ours = await sharp(await bytesOf(done.objects, variantsOf(done)[0]))
      .removeAlpha()
      .raw()
      .toBuffer();
    // Turned by sharp in one step, without our cascade.
    const reference = await sharp(await readFile(join(folder, `images/exif-orientation-${orientation}-${suffix}.jpg`)))
      .autoOrient()
      .removeAlpha()
      .raw()
      .toBuffer();
    expect(ours.equals(reference)).toBe(true);
  });
});
