/**
 * One case of `images.ts` in a process of its own, so that memory is its own too:
 * `case.js ours|pipelines <formats> <folder> <photo …>`. Prints one JSON line.
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

const cpu = process.cpuUsage();
const start = performance.now();
const made: string[] = [];
for (const [at, photo] of photos.entries()) {
  const own = join(folder, `${side}-${at}`);
  await mkdir(own);
  const variants = await (side === 'ours' ? ours : pipelines)(photo, own);
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
