/** How pixels become files. Whatever changes an output's bytes changes `recipeVersion`, and with it every key. */

import sharp, { type Sharp } from 'sharp';
import { rgbaToThumbHash } from 'thumbhash';
import type { Size } from './variants.ts';

export const recipeVersion = 1;

export type OutputFormat = 'jpeg' | 'png' | 'webp' | 'avif';
export type RequestedFormat = OutputFormat | 'fallback';

/** Decoded, upright, 8-bit sRGB. */
export interface Pixels extends Size {
  readonly data: Uint8Array;
  readonly channels: 3 | 4;
}

export interface Animation {
  readonly frames: number;
  /** Milliseconds, one per frame. */
  readonly delays: readonly number[];
  /** How often it plays; 0 = for ever. */
  readonly plays: number;
}

export const contentTypes: Readonly<Record<OutputFormat, string>> = {
  avif: 'image/avif',
  jpeg: 'image/jpeg',
  png: 'image/png',
  webp: 'image/webp',
};

/** Cheapest first: AVIF takes two thirds of the time, and a page can show the others meanwhile. */
const order: readonly OutputFormat[] = ['jpeg', 'png', 'webp', 'avif'];

/** What to write for what was asked, each once, AVIF last. */
export function outputFormats(asked: readonly RequestedFormat[], isTransparent: boolean): OutputFormat[] {
  const fallback = isTransparent ? 'png' : 'jpeg';
  const wanted = new Set(asked.map((format) => (format === 'fallback' ? fallback : format)));
  return order.filter((format) => wanted.has(format));
}

const open = (pixels: Pixels): Sharp =>
  sharp(pixels.data, { raw: { width: pixels.width, height: pixels.height, channels: pixels.channels } });

/** True when any pixel lets the background through. */
export function isTransparent(pixels: Pixels): boolean {
  if (pixels.channels === 3) return false;
  for (let at = 3; at < pixels.data.length; at += 4) if (pixels.data[at] !== 255) return true;
  return false;
}

/** Drops a channel that says nothing. */
export async function withoutAlpha(pixels: Pixels): Promise<Pixels> {
  const data = await open(pixels).removeAlpha().raw().toBuffer();
  return { data, width: pixels.width, height: pixels.height, channels: 3 };
}

/** The next smaller size, from pixels: the source is decoded once. */
export async function shrink(pixels: Pixels, size: Size): Promise<Pixels> {
  if (size.width === pixels.width && size.height === pixels.height) return pixels;
  const data = await open(pixels).resize(size.width, size.height, { fit: 'fill' }).raw().toBuffer();
  return { ...size, data, channels: pixels.channels };
}

/** Writes one still variant and answers its bytes. JPEG knows no transparency and gets a white background. */
export async function encode(pixels: Pixels, format: OutputFormat, path: string): Promise<number> {
  const image = open(pixels);
  switch (format) {
    case 'jpeg':
      image.flatten({ background: '#ffffff' }).jpeg({ quality: 80, progressive: true });
      break;
    case 'png':
      image.png();
      break;
    case 'webp':
      image.webp({ quality: 80, effort: 4 });
      break;
    case 'avif':
      image.avif({ quality: 50, effort: 2 });
      break;
  }
  return (await image.toFile(path)).size;
}

/** The hash keeps 7 × 7 waves at most: 48 pixels say as much as the 100 it allows, in a tenth of the time. */
const placeholderSide = 48;

/** A placeholder from the smallest pixels, base64. */
export async function placeholder(pixels: Pixels): Promise<string> {
  const { data, info } = await open(pixels)
    .resize(placeholderSide, placeholderSide, { fit: 'inside', withoutEnlargement: true })
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return Buffer.from(rgbaToThumbHash(info.width, info.height, data)).toString('base64');
}
