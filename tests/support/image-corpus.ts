/** The images of TEST_DATA, and what the manifest asks of each. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { planSizes } from '../../jobs/image-processing/variants.ts';

export const imageData = resolve(process.env['TEST_DATA'] ?? '../shared/data');
const widths = [320, 640, 960, 1_280, 1_920];
const manifest = join(imageData, 'manifest.json');
const schema = z.object({ entries: z.array(z.object({ file: z.string(), facts: z.unknown() })) });
const facts = z.object({ upright: z.string().optional(), sharp: z.string() });

export interface ImageEntry {
  /** Relative to `imageData`. */
  readonly file: string;
  readonly facts: z.output<typeof facts>;
}

/** Empty where the data is not. */
export const imageEntries: readonly ImageEntry[] = existsSync(manifest)
  ? schema
      .parse(JSON.parse(readFileSync(manifest, 'utf8')))
      .entries.filter(({ file }) => file.startsWith('images/'))
      .map((entry) => ({ file: entry.file, facts: facts.parse(entry.facts) }))
  : [];

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
