/** The images of TEST_DATA, what the manifest asks of each, and what is to be seen in what was made of it. */
import { buffer } from 'node:stream/consumers';
import sharp, { type Metadata } from 'sharp';
import { z } from 'zod';
import type { Result } from '../../jobs/define.ts';
import type imageProcessing from '../../jobs/image-processing/job.ts';
import { planSizes } from '../../jobs/image-processing/variants.ts';
import type { ObjectStore } from '../../runtime/object-store.ts';
import { inputsOf, sharedEntries } from './shared-data.ts';

const widths = [320, 640, 960, 1_280, 1_920];
const facts = z.object({ upright: z.string().optional(), sharp: z.string() });

export type Variant = Result<typeof imageProcessing>['variants'][number];

export interface ImageEntry {
  /** Relative to `sharedData`. */
  readonly file: string;
  readonly facts: z.output<typeof facts>;
}

/** Empty where the data is not. */
export const imageEntries: readonly ImageEntry[] = inputsOf('image-processing').map((file) => ({
  file,
  facts: facts.parse(sharedEntries.find((one) => one.file === file)?.facts),
}));

/** The sizes of the variants, or the code of the dead letter. */
export function expectedOf({ facts: { sharp, upright = '' } }: ImageEntry): string {
  if (sharp.startsWith('fails')) return sharp.includes('exceeds pixel limit') ? 'LIMIT_EXCEEDED' : 'BAD_SOURCE';
  const [width = 0, height = 0] = upright.split('x').map(Number);
  return sizesOf(planSizes({ width, height }, widths));
}

/** `320x240 640x480`: each size once. */
export function sizesOf(variants: readonly { readonly width: number; readonly height: number }[]): string {
  return [...new Set(variants.map(({ width, height }) => `${width}x${height}`))].join(' ');
}

/** Throws when it is not there. */
export async function bytesOf(objects: ObjectStore, variant: Variant | undefined): Promise<Buffer> {
  const found = await objects.get((variant?.key ?? '').slice('object:'.length));
  if (found === undefined) throw new Error(`expected ${variant?.key} to be stored`);
  return buffer(found.body);
}

/** Decodes every pixel, as a browser would, and answers what it is. */
export async function inspect(
  objects: ObjectStore,
  variant: Variant,
): Promise<{ readonly facts: Metadata; readonly bytes: Buffer }> {
  const bytes = await bytesOf(objects, variant);
  await sharp(bytes, { animated: true, failOn: 'warning' }).stats();
  return { facts: await sharp(bytes).metadata(), bytes };
}

/** What is wrong with it: nothing when it is what the result says, in sRGB, without a word about where it came from. */
export async function faultsOf(objects: ObjectStore, variant: Variant): Promise<string[]> {
  const { facts: made, bytes } = await inspect(objects, variant);
  const size = `${made.width}x${made.pageHeight ?? made.height}`;
  const metadata = Object.keys(made).filter((name) => /^(?:exif|icc|xmp|iptc)$/.test(name));
  return [
    ...(size === `${variant.width}x${variant.height}` ? [] : [`${variant.key} is ${size}`]),
    ...(made.space === 'srgb' && made.depth === 'uchar' ? [] : [`${variant.key} is ${made.space} ${made.depth}`]),
    ...metadata.map((name) => `${variant.key} has ${name}`),
    ...(bytes.byteLength === variant.bytes ? [] : [`${variant.key} has ${bytes.byteLength} bytes`]),
  ];
}
