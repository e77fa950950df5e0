/**
 * One case of `images.ts` in a process of its own, so that memory is its own too:
 * `case.js ours|pipelines|bare <formats> <folder> <photo …>`. Prints one JSON line.
 */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import sharp from 'sharp';
import type { JobContext } from '../../jobs/define.ts';
import handler from '../../jobs/image-processing/handler.ts';
import { planSizes } from '../../jobs/image-processing/variants.ts';
import { bareContext } from '../context.ts';

type Format = 'jpeg' | 'webp' | 'avif';

const widths = [320, 640, 960, 1_280, 1_920];
const [, , side = '', formatList = '', folder = '', ...photos] = process.argv;
const formats = formatList.split(',') as Format[];

/** Objects stay in the folder. */
function contextFor(photo: string, own: string): JobContext {
  const sizeOf = async (path: string): Promise<number> => (await stat(path)).size;
  return bareContext({
    folder: own,
    objects: {
      fetch: async () => {
        const path = join(own, 'input');
        await copyFile(photo, path);
        const sha256 = createHash('sha256')
          .update(await readFile(path))
          .digest('hex');
        return { path, sizeBytes: await sizeOf(path), sha256 };
      },
      put: async (key, path) => ({ object: `object:t/-/${key}`, sizeBytes: await sizeOf(path) }),
      head: async () => undefined,
      link: async () => undefined,
    },
  });
}

async function ours(photo: string, own: string): Promise<string[]> {
  const open = await handler.open({});
  const result = await open.run({ source: 'object:t/-/input', widths, formats }, contextFor(photo, own));
  const { variants } = result as { variants: { width: number; height: number; format: string }[] };
  return variants.map((it) => `${it.width}x${it.height}.${it.format}`);
}

/** The usual way: a pipeline per variant, each from the file, with the same settings. */
async function pipelines(photo: string, own: string): Promise<string[]> {
  sharp.cache(false);
  sharp.concurrency(1);
  const { autoOrient } = await sharp(photo).metadata();
  const made: string[] = [];
  for (const size of planSizes(autoOrient, widths)) {
    for (const format of formats) {
      const image = sharp(photo).autoOrient().resize({ width: size.width, withoutEnlargement: true });
      if (format === 'jpeg') image.flatten({ background: '#ffffff' }).jpeg({ quality: 80, progressive: true });
      if (format === 'webp') image.webp({ quality: 80, effort: 4 });
      if (format === 'avif') image.avif({ quality: 50, effort: 2 });
      const { width, height } = await image.toFile(join(own, `${size.width}.${format}`));
      made.push(`${width}x${height}.${format}`);
    }
  }
  return made;
}

/** The calls of sharp that ours makes, one after the other: decoded once, each size from the one before, a placeholder. */
async function bare(photo: string, own: string): Promise<string[]> {
  sharp.cache(false);
  sharp.concurrency(1);
  const bytes = await readFile(photo);
  const { autoOrient } = await sharp(bytes).metadata();
  const made: string[] = [];
  const levels: { readonly data: Buffer; readonly raw: { width: number; height: number; channels: 3 | 4 } }[] = [];
  for (const { width, height } of planSizes(autoOrient, widths)) {
    const before = levels.at(-1);
    const image = before === undefined ? sharp(bytes).autoOrient() : sharp(before.data, { raw: before.raw });
    const resized = image.resize(width, height, { fit: 'fill' });
    const upright = before === undefined ? resized.toColourspace('srgb').raw({ depth: 'uchar' }) : resized.raw();
    const { data, info } = await upright.toBuffer({ resolveWithObject: true });
    levels.push({ data, raw: { width, height, channels: info.channels === 4 ? 4 : 3 } });
  }
  for (const format of formats) {
    for (const { data, raw } of levels) {
      const image = sharp(data, { raw });
      if (format === 'jpeg') image.flatten({ background: '#ffffff' }).jpeg({ quality: 80, progressive: true });
      if (format === 'webp') image.webp({ quality: 80, effort: 4 });
      if (format === 'avif') image.avif({ quality: 50, effort: 2 });
      const { width, height } = await image.toFile(join(own, `${raw.width}.${format}`));
      made.push(`${width}x${height}.${format}`);
    }
  }
  const smallest = levels.at(-1);
  if (smallest !== undefined)
    await sharp(smallest.data, { raw: smallest.raw }).resize(48, 48, { fit: 'inside' }).ensureAlpha().raw().toBuffer();
  return made;
}

const sides: Readonly<Record<string, typeof ours>> = { ours, pipelines, bare };
const make = sides[side];
if (make === undefined) throw new Error(`expected one of ${Object.keys(sides).join(', ')}, got "${side}"`);
const cpu = process.cpuUsage();
const start = performance.now();
const made: string[] = [];
for (const [at, photo] of photos.entries()) {
  const own = join(folder, `${side}-${at}`);
  await mkdir(own);
  const variants = await make(photo, own);
  made.push(...variants.map((variant) => `${basename(photo)} ${variant}`));
}
const used = process.cpuUsage(cpu);
process.stdout.write(
  JSON.stringify({
    wallMs: performance.now() - start,
    cpuMs: (used.user + used.system) / 1_000,
    maxRssMb: process.resourceUsage().maxRSS / 1_024,
    made: made.toSorted(),
  }),
);
