import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { crc32, deflateSync } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';
import { describe, expect, test } from 'vitest';
import type { ObjectStore } from '../../runtime/object-store.ts';
import { type JobRun, type RunJobOptions, runJob } from '../../workers/testing.ts';
import type { Result } from '../define.ts';
import handler from './handler.ts';
import job from './job.ts';

type Answer = Result<typeof job>;

/** A photograph-like picture: a gradient with noise, so that encoders have something to do. */
const photo = (width: number, height: number): Sharp => {
  const data = Buffer.alloc(width * height * 3);
  for (let at = 0; at < data.length; at += 1)
    data[at] = ((at / 3 / width + (at % (3 * width))) * 7 + ((at * 7_919) % 31)) % 256;
  return sharp(data, { raw: { width, height, channels: 3 } });
};

/** A square of 1-bit black. */
function blackPng(side: number): Buffer {
  const chunk = (name: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
    const around = Buffer.alloc(8);
    around.writeUInt32BE(data.length, 0);
    around.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([around.subarray(0, 4), body, around.subarray(4)]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header[8] = 1;
  const pixels = deflateSync(Buffer.alloc(side * (1 + side / 8)), { level: 1 });
  const start = Buffer.from('\x89PNG\r\n\x1A\n', 'latin1');
  return Buffer.concat([start, chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))]);
}

/** Frames of one pixel each on a square canvas: a few bytes, however large the canvas (at most 2,048: above, libnsgif takes the first frame's size). */
function gif(frames: number, side: number): Buffer {
  const sizes = Buffer.alloc(4);
  sizes.writeUInt16LE(side, 0);
  sizes.writeUInt16LE(side, 2);
  // Graphic control (20 ms), image descriptor 1 x 1, one pixel.
  const frame = Buffer.from('21f90400020000002c0000000001000100000202440100', 'hex');
  const start = [Buffer.from('GIF89a'), sizes, Buffer.from('800000000000ffffff', 'hex')];
  return Buffer.concat([...start, ...Array.from({ length: frames }, () => frame), Buffer.from(';')]);
}

const run = async (bytes: Uint8Array, payload: object = {}, options: RunJobOptions = {}): Promise<JobRun> =>
  runJob(handler, { source: 'object:t/-/input', ...payload }, { inputs: { input: bytes }, ...options });

const answerOf = (done: JobRun): Answer => {
  if (done.error !== undefined) throw done.error;
  // runJob has parsed it with the job's own schema.
  return done.result as Answer;
};

async function stored(objects: ObjectStore, object: string): Promise<{ bytes: Buffer; contentType: string }> {
  const found = await objects.get(object.slice('object:'.length));
  if (found === undefined) throw new Error(`expected ${object} to be stored`);
  return { bytes: await buffer(found.body), contentType: found.contentType };
}

const shape = (answer: Answer): string[] => answer.variants.map((v) => `${v.width}x${v.height}.${v.format}`);

describe('variants', () => {
  test('are every width in every format, AVIF last, as their metadata says', async () => {
    await using done = await run(await photo(700, 350).jpeg().toBuffer(), { widths: [320, 640, 960] });
    const answer = answerOf(done);
    expect(shape(answer)).toEqual([
      '640x320.jpeg',
      '320x160.jpeg',
      '640x320.webp',
      '320x160.webp',
      '640x320.avif',
      '320x160.avif',
    ]);
    for (const variant of answer.variants) {
      const { bytes, contentType } = await stored(done.objects, variant.key);
      expect(bytes.byteLength).toBe(variant.bytes);
      expect(contentType).toBe(`image/${variant.format}`);
      const facts = await sharp(bytes).metadata();
      expect([facts.width, facts.height]).toEqual([variant.width, variant.height]);
      expect(facts).toMatchObject({
        space: 'srgb',
        depth: 'uchar',
        format: variant.format === 'avif' ? 'heif' : variant.format,
      });
      expect(facts.isProgressive).toBe(variant.format === 'jpeg');
    }
    expect(Buffer.from(answer.thumbhash, 'base64').length).toBeGreaterThan(4);
    expect(done.progress.length).toBeGreaterThan(0);
  });

  test('are the formats that were asked for, each once', async () => {
    const bytes = await photo(40, 30).png().toBuffer();
    await using done = await run(bytes, { formats: ['webp', 'fallback', 'jpeg'] });
    expect(shape(answerOf(done))).toEqual(['40x30.jpeg', '40x30.webp']);
  });

  test('fall back to PNG only where something shows through', async () => {
    const clear = {
      create: { width: 8, height: 8, channels: 4, background: { r: 255, g: 0, b: 0, alpha: 0.5 } },
    } as const;
    const opaque = { create: { ...clear.create, background: { r: 255, g: 0, b: 0, alpha: 1 } } } as const;
    await using see = await run(await sharp(clear).png().toBuffer(), { formats: ['fallback', 'jpeg'] });
    expect(shape(answerOf(see))).toEqual(['8x8.jpeg', '8x8.png']);
    const [jpeg] = answerOf(see).variants;
    const { data } = await sharp((await stored(see.objects, jpeg?.key ?? '')).bytes)
      .raw()
      .toBuffer({ resolveWithObject: true });
    // Half of red on white.
    expect([...data.subarray(0, 3)].map((value) => Math.round(value / 10))).toEqual([26, 13, 13]);
    await using solid = await run(await sharp(opaque).png().toBuffer(), { formats: ['fallback'] });
    expect(shape(answerOf(solid))).toEqual(['8x8.jpeg']);
  });

  test('are upright and carry no metadata', async () => {
    const bytes = await photo(60, 40)
      .withExif({ IFD0: { Copyright: 'planted-secret' }, IFD3: { GPSLatitude: '50/1 17/1 58/1' } })
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer();
    await using done = await run(bytes);
    const answer = answerOf(done);
    expect(new Set(answer.variants.map((v) => `${v.width}x${v.height}`))).toEqual(new Set(['40x60']));
    for (const variant of answer.variants) {
      const output = (await stored(done.objects, variant.key)).bytes;
      const facts = await sharp(output).metadata();
      expect(facts).not.toHaveProperty('exif');
      expect(facts).not.toHaveProperty('icc');
      expect(facts).not.toHaveProperty('xmp');
      expect(facts.orientation ?? 1).toBe(1);
      expect(output.includes('planted-secret')).toBe(false);
    }
  });

  test('of an animation keep frames, delays and plays in WebP and are stills elsewhere', async () => {
    // Graphic control (20 ms), image descriptor 1 x 1, one pixel.
    const frame = (hue: number): Buffer => Buffer.alloc(20 * 10 * 4, Buffer.from([hue, 255 - hue, 10, 255]));
    const raw = { width: 20, height: 30, channels: 4, pageHeight: 10 } as const;
    const frames = Buffer.concat([frame(0), frame(120), frame(250)]);
    const gif = await sharp(frames, { raw })
      .gif({ delay: [50, 2_000, 70], loop: 4 })
      .toBuffer();
    await using done = await run(gif, { widths: [10] });
    for (const variant of answerOf(done).variants) {
      expect([variant.width, variant.height]).toEqual([10, 5]);
      const facts = await sharp((await stored(done.objects, variant.key)).bytes, { animated: true }).metadata();
      const moving = { pages: 3, delay: [50, 2_000, 70], loop: 4, pageHeight: 5 };
      expect({ pages: 1, ...facts }).toMatchObject(variant.format === 'webp' ? moving : { pages: 1 });
    }
  });

  test('have the same keys and bytes in two runs, and keys name the source', async () => {
    const bytes = await photo(330, 200).jpeg().toBuffer();
    await using first = await run(bytes);
    await using second = await run(bytes);
    await using other = await run(await photo(331, 200).jpeg().toBuffer());
    const one = answerOf(first);
    expect(answerOf(second)).toEqual(one);
    expect(answerOf(other).variants[0]?.key).not.toBe(one.variants[0]?.key);
    for (const { key } of one.variants) {
      expect((await stored(second.objects, key)).bytes.equals((await stored(first.objects, key)).bytes)).toBe(true);
    }
  });

  test('are not made again when an earlier attempt stored them', async () => {
    const bytes = await photo(330, 200).jpeg().toBuffer();
    await using first = await run(bytes);
    const [kept, lost] = answerOf(first).variants;
    const before = await first.objects.head(kept?.key.slice(7) ?? '');
    await first.objects.delete(lost?.key.slice(7) ?? '');
    await using again = await run(bytes, {}, { objects: first.objects, attempt: 2 });
    expect(answerOf(again)).toEqual(answerOf(first));
    expect(await first.objects.head(kept?.key.slice(7) ?? '')).toEqual(before);
    expect(await first.objects.head(lost?.key.slice(7) ?? '')).toBeDefined();
  });

  test('of 16-bit, grey and palette pictures are 8-bit sRGB', async () => {
    const sources = [
      await photo(30, 20).toColourspace('rgb16').png().toBuffer(),
      await photo(30, 20).toColourspace('b-w').png().toBuffer(),
      await photo(30, 20).png({ palette: true }).toBuffer(),
      await photo(30, 20).toColourspace('cmyk').jpeg().toBuffer(),
    ];
    for (const source of sources) {
      await using done = await run(source, { formats: ['jpeg', 'png', 'webp', 'avif'] });
      for (const { key } of answerOf(done).variants) {
        const facts = await sharp((await stored(done.objects, key)).bytes).metadata();
        expect(facts).toMatchObject({ space: 'srgb', depth: 'uchar', channels: 3 });
      }
    }
  });
});

describe('refusals', () => {
  /** Outcome and message, as one text. */
  const refusal = async (bytes: Uint8Array, options: RunJobOptions = {}): Promise<string> => {
    await using done = await run(bytes, {}, options);
    const { outcome } = done;
    return `${outcome.state} ${'code' in outcome ? outcome.code : ''}: ${done.error?.message}`;
  };

  test('of what is no image, whatever it is called', async () => {
    expect(await refusal(Buffer.from('<!doctype html><p>hello'))).toMatch(/^dead BAD_SOURCE: .*got no image/);
    expect(await refusal(Buffer.from('BM0000'))).toMatch(/^dead BAD_SOURCE: .*got a BMP/);
    expect(await refusal(Buffer.from('\x89PNG\r\n\x1A\n', 'latin1'))).toMatch(/^dead BAD_SOURCE: .*cannot be decoded/);
  });

  test('of truncated files, whose metadata still reads well', async () => {
    const whole = [photo(300, 200).jpeg(), photo(300, 200).png(), photo(300, 200).webp(), photo(300, 200).avif()];
    for (const image of whole) {
      const bytes = await image.toBuffer();
      expect(await refusal(bytes.subarray(0, bytes.length * 0.6))).toMatch(/^dead BAD_SOURCE: .*cannot be decoded/);
    }
  });

  test('of pixel bombs, before anything is decoded', async () => {
    const bomb = blackPng(16_000);
    expect(bomb.length).toBeLessThan(200_000);
    expect(await refusal(bomb)).toMatch(/^dead LIMIT_EXCEEDED: .*at most 50000000 pixels/);
  });

  test('of too many frames, and of too many pixels over all frames', async () => {
    expect(await refusal(gif(301, 1))).toMatch(/^dead LIMIT_EXCEEDED: .*at most 300 frames, got 301/);
    expect(await refusal(gif(13, 2_000))).toMatch(/^dead LIMIT_EXCEEDED: .*at most 50000000 pixels, got 52000000/);
  });

  test('of SVG when it is switched off, and of entities always', async () => {
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>');
    expect(await refusal(svg, { env: { IMAGE_SVG: 'off' } })).toMatch(/^dead BAD_SOURCE: .*IMAGE_SVG=off/);
    expect(await refusal(Buffer.from('<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>'))).toMatch(
      /^dead BAD_SOURCE: .*entities/,
    );
  });

  test('of sizes that make no sense', async () => {
    for (const payload of [
      { widths: [0] },
      { widths: [-1] },
      { widths: [1e9] },
      { widths: [] },
      { formats: ['bmp'] },
      { x: 1 },
    ]) {
      await using done = await run(Buffer.from('x'), payload);
      expect(done.outcome).toMatchObject({ state: 'dead', code: 'PAYLOAD_INVALID' });
    }
  });
});

test('an SVG is drawn without reading anything else', async () => {
  const red = await sharp({ create: { width: 9, height: 9, channels: 3, background: '#f00' } })
    .png()
    .toBuffer();
  const href = (target: string): string => `<image width="9" height="9" href="${target}"/>`;
  const wrap = (body: string): Buffer =>
    Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9" fill="#00f"/>${body}</svg>`,
    );
  const planted = join(tmpdir(), `jobfleet-planted-${process.pid}.png`);
  await writeFile(planted, red);
  await using done = await run(wrap(href(`file://${planted}`) + href(planted)), { formats: ['png'] });
  const { bytes } = await stored(done.objects, answerOf(done).variants[0]?.key ?? '');
  expect([...(await sharp(bytes).raw().toBuffer()).subarray(0, 3)]).toEqual([0, 0, 255]);
});

test('stops between two variants when it is cancelled', async () => {
  const bytes = await photo(700, 500).png().toBuffer();
  await using done = await run(bytes, {}, { onStart: (running) => running.abort('CANCELLED', 0) });
  expect(done.outcome.state).not.toBe('done');
  expect(done.result).toBeUndefined();
});
