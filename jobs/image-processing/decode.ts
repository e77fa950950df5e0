/**
 * From untrusted bytes to pixels. Only libvips loaders that read from memory are ever on, and only those of the common
 * formats: SVG and TIFF are switched on for an input that is one, in the child that lives for this job alone.
 */
import sharp, { type Metadata } from 'sharp';
import { giveUp, JobError } from '../errors.ts';
import type { Animation, Pixels } from './recipe.ts';
import { type SourceKind, sniff } from './sniff.ts';
import type { Size } from './variants.ts';

/** Width × height × frames. */
const maxPixels = 50_000_000;
const maxFrames = 300;
/** The longest a frame of a written animation can stand. */
const maxDelayMs = 65_535;
/** libvips cannot be stopped inside an SVG filter. Giving up answers the worker, and an answer ends the child. */
const svgMs = 10_000;

export interface Source {
  readonly bytes: Uint8Array;
  readonly kind: SourceKind;
  /** Upright. */
  readonly size: Size;
  readonly animation: Animation | undefined;
}

const input = { failOn: 'error', limitInputPixels: maxPixels } as const;
const commonLoaders = ['Jpeg', 'Png', 'Webp', 'Nsgif', 'Heif'];
const rareLoaders: Partial<Record<SourceKind, string>> = { svg: 'Svg', tiff: 'Tiff' };
const operations = (loaders: readonly string[]): { operation: string[] } => ({
  operation: loaders.map((loader) => `VipsForeignLoad${loader}Buffer`),
});

/** Once per process: no cache, one thread, and no loader but the common ones. */
export function prepareSharp(): void {
  sharp.cache(false);
  sharp.concurrency(1);
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock(operations(commonLoaders));
}

/** Turns what libvips says about the source into an outcome. Memory is the machine's fault, not the source's. */
function refusalOf(error: unknown): unknown {
  if (error instanceof JobError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (/exceeds pixel limit/.test(message)) {
    return giveUp('LIMIT_EXCEEDED', `expected at most ${maxPixels} pixels, got more`, { cause: error });
  }
  if (/out of memory|unable to (re)?alloc/i.test(message)) return error;
  const [first = message] = message.trim().split('\n');
  return giveUp('BAD_SOURCE', `The image cannot be decoded: ${first.slice(0, 200)}`, { cause: error });
}

/** Bounds what only a kill can stop. Everything else is bounded by the job's own time limit. */
async function timed<T>(kind: SourceKind, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    if (kind !== 'svg') return;
    const error = giveUp(
      'LIMIT_EXCEEDED',
      `expected an SVG that is drawn within ${svgMs / 1_000} s; this one takes longer`,
    );
    timer = setTimeout(() => reject(error), svgMs);
  });
  try {
    return await Promise.race([work(), late]);
  } catch (error) {
    throw refusalOf(error);
  } finally {
    clearTimeout(timer);
  }
}

function checkSvg(bytes: Uint8Array, isOn: boolean): void {
  if (!isOn)
    throw giveUp('BAD_SOURCE', 'SVG is switched off here (IMAGE_SVG=off); send a JPEG, PNG, WebP, GIF or AVIF');
  if (Buffer.from(bytes).includes('<!ENTITY')) {
    throw giveUp('BAD_SOURCE', 'The SVG declares entities, which are not expanded; save it without them');
  }
}

function checkMetadata(facts: Metadata, kind: SourceKind): void {
  // metadata() reads HEIC, but the codec for its pixels is not there; decoding would end in "bad seek".
  if (facts.compression === 'hevc') {
    throw giveUp('BAD_SOURCE', 'HEIC (HEVC) cannot be decoded here; convert it to JPEG or AVIF first');
  }
  const frames = kind === 'tiff' ? 1 : (facts.pages ?? 1);
  if (frames > maxFrames) throw giveUp('LIMIT_EXCEEDED', `expected at most ${maxFrames} frames, got ${frames}`);
  const pixels = facts.width * facts.height * frames;
  if (pixels > maxPixels) throw giveUp('LIMIT_EXCEEDED', `expected at most ${maxPixels} pixels, got ${pixels}`);
}

function animationOf(facts: Metadata, kind: SourceKind): Animation | undefined {
  const frames = facts.pages ?? 1;
  // Frames lie below each other in one tall image, so only an upright animation can stay one.
  const isUpright = facts.orientation === undefined || facts.orientation === 1;
  if (frames === 1 || !isUpright || (kind !== 'gif' && kind !== 'webp')) return undefined;
  const delays = (facts.delay ?? []).map((delayMs) => Math.min(delayMs, maxDelayMs));
  return { frames, delays, plays: facts.loop ?? 0 };
}

/**
 * Looks at type, size and frames without decoding pixels. Throws `BAD_SOURCE` for what is no image we can decode and
 * `LIMIT_EXCEEDED` for one that is too large.
 */
export async function openSource(bytes: Uint8Array, options: { readonly isSvgOn: boolean }): Promise<Source> {
  const sniffed = sniff(bytes);
  if (sniffed.state === 'refused') {
    throw giveUp('BAD_SOURCE', `expected JPEG, PNG, WebP, GIF, AVIF, SVG or TIFF, got ${sniffed.what}`);
  }
  const { kind } = sniffed;
  if (kind === 'svg') checkSvg(bytes, options.isSvgOn);
  const rare = rareLoaders[kind];
  if (rare !== undefined) sharp.unblock(operations([rare]));
  const facts = await timed(kind, async () => sharp(bytes, input).metadata());
  checkMetadata(facts, kind);
  const { width, height } = facts.autoOrient;
  return { bytes, kind, size: { width, height }, animation: animationOf(facts, kind) };
}

/** The only decode of a still source: upright, sRGB, 8-bit, at the largest size that is wanted (libvips shrinks while loading). */
export async function decode(source: Source, size: Size): Promise<Pixels> {
  const { data, info } = await timed(source.kind, async () =>
    sharp(source.bytes, input)
      .autoOrient()
      .resize(size.width, size.height, { fit: 'fill' })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true }),
  );
  if (info.channels !== 3 && info.channels !== 4) {
    throw new Error(`expected 3 or 4 channels from the decoder, got ${info.channels}`);
  }
  return { data, width: info.width, height: info.height, channels: info.channels };
}

/** All frames of an animation at one size, as animated WebP with the delays and plays of the source. */
export async function encodeAnimation(source: Source, animation: Animation, size: Size, path: string): Promise<number> {
  const written = await timed(source.kind, async () =>
    sharp(source.bytes, { ...input, animated: true })
      .resize(size.width, size.height, { fit: 'fill' })
      .webp({ quality: 80, effort: 4, loop: animation.plays, delay: [...animation.delays] })
      .toFile(path),
  );
  return written.size;
}
