/**
 * Pixels on their way to an engine: decoded upright on white, turned, resized, and written as PNM, which costs nothing to
 * make and which every engine reads. No normalising, no threshold, no sharpening: the engines do that better themselves.
 */
import sharp, { type Metadata, type Sharp } from 'sharp';
import { giveUp, JobError } from '../errors.ts';
import { readBmp, readPnm } from './bitmap.ts';
import { maxSourcePixels, type Size, sizeForReading } from './sizes.ts';
import type { SourceKind } from './sniff.ts';

export interface Picture extends Size {
  /** 8 bits a sample, row by row. */
  readonly data: Buffer;
  readonly channels: 1 | 3;
  /** Undefined when the source does not say. */
  readonly dpi: number | undefined;
}

export type PictureKind = Exclude<SourceKind, 'pdf' | 'xml'>;

const maxPages = 50;
const loaders: Readonly<Record<Exclude<PictureKind, 'bmp' | 'pnm'>, string>> = {
  gif: 'Nsgif',
  jpeg: 'Jpeg',
  png: 'Png',
  tiff: 'Tiff',
  webp: 'Webp',
};

/** Once per process: no cache, one thread, and of all loaders only those of the accepted formats that read from memory. */
export function prepareSharp(): void {
  sharp.cache(false);
  sharp.concurrency(1);
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock({ operation: Object.values(loaders).map((name) => `VipsForeignLoad${name}Buffer`) });
}

export interface PictureFile {
  readonly pageCount: number;
  /** `index` 0 for the first. Decodes it whole: what is cut off or damaged throws `BAD_SOURCE`. */
  readonly page: (index: number) => Promise<Picture>;
}

/** TIFF has pages; of an animation the first frame is read. Throws `BAD_SOURCE`, and `LIMIT_EXCEEDED` over 50 pages or 50 megapixels. */
export async function openPicture(bytes: Uint8Array, kind: PictureKind, mayEnlarge: boolean): Promise<PictureFile> {
  if (kind === 'bmp' || kind === 'pnm') {
    const whole = kind === 'bmp' ? readBmp(bytes) : readPnm(bytes);
    return { pageCount: 1, page: async () => fit(whole, mayEnlarge) };
  }
  const facts = await translated(async () => sharp(bytes, input).metadata());
  const pageCount = kind === 'tiff' ? (facts.pages ?? 1) : 1;
  if (pageCount > maxPages) throw giveUp('LIMIT_EXCEEDED', `expected at most ${maxPages} pages, got ${pageCount}`);
  checkPixels(facts.width * (kind === 'tiff' ? facts.height : (facts.pageHeight ?? facts.height)));
  return { pageCount, page: async (index) => decode(bytes, index, mayEnlarge) };
}

const input = { failOn: 'error', limitInputPixels: maxSourcePixels } as const;

function checkPixels(pixels: number): void {
  if (pixels > maxSourcePixels)
    throw giveUp('LIMIT_EXCEEDED', `expected at most ${maxSourcePixels} pixels, got ${pixels}`);
}

async function decode(bytes: Uint8Array, index: number, mayEnlarge: boolean): Promise<Picture> {
  return translated(async () => {
    const source = sharp(bytes, { ...input, page: index });
    const facts: Metadata = await source.metadata();
    const size = sizeForReading(facts.autoOrient, mayEnlarge);
    const isGrey = facts.space === 'b-w' || facts.space === 'grey16';
    const upright = source
      .autoOrient()
      .flatten({ background: '#ffffff' })
      .resize(size.width, size.height, { fit: 'fill', kernel: 'cubic' })
      .toColourspace(isGrey ? 'b-w' : 'srgb');
    const factor = size.width / facts.autoOrient.width;
    const dpi = facts.density === undefined || facts.density <= 72 ? undefined : Math.round(facts.density * factor);
    return raw(upright, dpi);
  });
}

async function raw(pipeline: Sharp, dpi: number | undefined): Promise<Picture> {
  const { data, info } = await pipeline.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  if (info.channels !== 1 && info.channels !== 3) throw new Error(`expected 1 or 3 channels, got ${info.channels}`);
  return { data, width: info.width, height: info.height, channels: info.channels, dpi };
}

const open = ({ data, width, height, channels }: Picture): Sharp =>
  sharp(data, { raw: { width, height, channels }, limitInputPixels: maxSourcePixels });

async function fit(picture: Picture, mayEnlarge: boolean): Promise<Picture> {
  const size = sizeForReading(picture, mayEnlarge);
  return size.width === picture.width
    ? picture
    : raw(open(picture).resize(size.width, size.height, { fit: 'fill', kernel: 'cubic' }), undefined);
}

/** Clockwise. */
export async function turn(picture: Picture, degrees: 90 | 180 | 270): Promise<Picture> {
  return raw(open(picture).rotate(degrees), picture.dpi);
}

/**
 * One colour all over, give or take what a scanner adds: an engine looks at such a page for a minute and finds nothing. No
 * channel deviates by 1 from its mean. Ends at the first lines of a page that has any; statistics of libvips take a tenth
 * of the time that reading does.
 */
export function isBlank({ data, channels }: Pick<Picture, 'channels' | 'data'>): boolean {
  const samples = data.length / channels;
  for (let channel = 0; channel < channels; channel += 1) {
    const base = data[channel] ?? 0;
    let sum = 0;
    let squares = 0;
    let seen = 0;
    for (let at = channel; at < data.length; at += channels) {
      const off = (data[at] ?? 0) - base;
      sum += off;
      squares += off * off;
      seen += 1;
      // What is still to come can only add to the squares about the mean.
      if (squares - (sum * sum) / seen >= samples) return false;
    }
  }
  return true;
}

/** For a second look at a page: grey, `width` wide. */
export async function greyOfWidth(picture: Picture, width: number): Promise<Picture> {
  const height = Math.max(1, Math.round((picture.height * width) / picture.width));
  return raw(open(picture).resize(width, height, { fit: 'fill', kernel: 'cubic' }).toColourspace('b-w'), undefined);
}

/** Half the size and grey: enough to see which way up a page is. */
export async function smallOf(picture: Picture, longest: number): Promise<Picture> {
  const factor = Math.min(1, longest / Math.max(picture.width, picture.height));
  if (factor === 1 && picture.channels === 1) return picture;
  const width = Math.max(1, Math.round(picture.width * factor));
  const height = Math.max(1, Math.round(picture.height * factor));
  return raw(open(picture).resize(width, height, { fit: 'fill' }).toColourspace('b-w'), undefined);
}

/** PGM or PPM. */
export function asPnm({ data, width, height, channels }: Picture): Buffer {
  return Buffer.concat([Buffer.from(`P${channels === 1 ? 5 : 6}\n${width} ${height}\n255\n`, 'latin1'), data]);
}

/** What a person looks at: a JPEG of at most 1,600 pixels. */
export async function writePreview(picture: Picture, path: string): Promise<void> {
  await open(picture)
    .resize(1_600, 1_600, { fit: 'inside', withoutEnlargement: true })
    .jpeg({ quality: 80 })
    .toFile(path);
}

/** Turns what libvips says into an outcome. Memory is the machine's fault, not the source's. */
async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof JobError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    if (/exceeds pixel limit/.test(message))
      throw giveUp('LIMIT_EXCEEDED', `expected at most ${maxSourcePixels} pixels, got more`, { cause: error });
    if (/out of memory|unable to (re)?alloc/i.test(message)) throw error;
    const [first = message] = message.trim().split('\n');
    throw giveUp('BAD_SOURCE', `The picture cannot be decoded: ${first.slice(0, 200)}`, { cause: error });
  }
}
