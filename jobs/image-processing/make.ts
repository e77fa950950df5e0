/** Decodes once at the largest width, cascades down, and writes every format of a width from the same pixels. Maps libvips. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JobContext, Payload, Result } from '../define.ts';
import { decode, encodeAnimation, openSource, prepareSharp, type Source } from './decode.ts';
import type job from './job.ts';
import {
  contentTypes,
  encode,
  isTransparent,
  type OutputFormat,
  outputFormats,
  type Pixels,
  placeholder,
  recipeVersion,
  shrink,
  withoutAlpha,
} from './recipe.ts';
import { planSizes, type Size } from './variants.ts';

type Variant = Result<typeof job>['variants'][number];

const maxBytes = 100_000_000;

/** Every size as pixels, widest first. */
async function cascade(source: Source, sizes: readonly Size[]): Promise<Pixels[]> {
  const levels: Pixels[] = [];
  for (const size of sizes) {
    const previous = levels.at(-1);
    if (previous !== undefined) levels.push(await shrink(previous, size));
    else {
      const pixels = await decode(source, size);
      levels.push(pixels.channels === 4 && !isTransparent(pixels) ? await withoutAlpha(pixels) : pixels);
    }
  }
  return levels;
}

/** Makes one variant, or finds that an earlier attempt has. Keys name the content, so both are the same bytes. */
async function store(
  ctx: JobContext,
  at: { readonly folderKey: string; readonly size: Size; readonly format: OutputFormat },
  write: (path: string) => Promise<number>,
): Promise<Variant> {
  const name = `${at.size.width}.${at.format === 'jpeg' ? 'jpg' : at.format}`;
  const key = `${at.folderKey}/${name}`;
  const facts = { width: at.size.width, height: at.size.height, format: at.format };
  const existing = await ctx.objects.head(key);
  if (existing !== undefined) return { key: existing.object, ...facts, bytes: existing.sizeBytes };
  const path = join(ctx.folder, name);
  await write(path);
  const stored = await ctx.objects.put(key, path, contentTypes[at.format]);
  return { key: stored.object, ...facts, bytes: stored.sizeBytes };
}

interface Settings {
  readonly isSvgOn: boolean;
}

/** Once per process. What it answers makes every variant in every size and format, and the placeholder. */
export function openMaker(
  settings: Settings,
): (payload: Payload<typeof job>, ctx: JobContext) => Promise<Result<typeof job>> {
  prepareSharp();
  return (payload, ctx) => makeVariants(payload, ctx, settings);
}

async function makeVariants(
  payload: Payload<typeof job>,
  ctx: JobContext,
  { isSvgOn }: Settings,
): Promise<Result<typeof job>> {
  const file = await ctx.objects.fetch(payload.source, { maxBytes });
  const source = await openSource(await readFile(file.path), { isSvgOn });
  ctx.progress(5, 'read');
  const sizes = planSizes(source.size, payload.widths);
  const levels = await cascade(source, sizes);
  const [widest, smallest] = [levels[0], levels.at(-1)];
  if (widest === undefined || smallest === undefined) throw new Error('expected at least one size, got none');
  const formats = outputFormats(payload.formats, isTransparent(widest));
  const folderKey = `images/${file.sha256}/${recipeVersion}`;
  const variants: Variant[] = [];
  const total = formats.length * levels.length;
  for (const format of formats) {
    for (const pixels of levels) {
      ctx.signal.throwIfAborted();
      const { animation } = source;
      variants.push(
        await store(ctx, { folderKey, size: pixels, format }, async (path) =>
          animation !== undefined && format === 'webp'
            ? encodeAnimation(source, animation, pixels, path)
            : encode(pixels, format, path),
        ),
      );
      ctx.progress(10 + (90 * variants.length) / total, `${format} ${pixels.width}`);
    }
  }
  return { variants, thumbhash: await placeholder(smallest) };
}
