import { z } from 'zod';
import { defineJob, inputFile } from '../define.ts';

const asked = z.enum(['fallback', 'jpeg', 'png', 'webp', 'avif']);
const variant = z.object({
  key: z.string().startsWith('object:'),
  width: z.int().positive(),
  height: z.int().positive(),
  format: asked.exclude(['fallback']),
  bytes: z.int().positive(),
});

export default defineJob({
  name: 'image-processing',
  aliases: ['image_processing'],
  summary: 'Makes web-ready variants of an image in several widths and formats, without metadata, and a placeholder.',
  payload: z.strictObject({
    source: inputFile().describe(
      'JPEG, PNG, WebP, GIF, AVIF, SVG, TIFF; at most 100 MB, 50 megapixels over all frames',
    ),
    widths: z
      .array(z.int().min(1).max(8_192))
      .min(1)
      .max(10)
      .default([320, 640, 960, 1_280, 1_920])
      .describe('Never enlarged: a smaller source gives one variant of its own size'),
    formats: z
      .array(asked)
      .min(1)
      .max(5)
      .default(['fallback', 'webp', 'avif'])
      .describe('fallback: progressive JPEG, or PNG when the image is transparent'),
  }),
  result: z.object({
    variants: z.array(variant),
    thumbhash: z.string().describe('A placeholder of about 30 bytes, base64 (evanw/thumbhash)'),
  }),
  // libvips runs one thread a job, so `concurrency` cores are used.
  policy: {
    isolation: 'child',
    order: 'fair',
    concurrency: 2,
    timeoutMs: 120_000,
    child: { memoryMb: 1_024, diskMb: 512, cpuSeconds: 240 },
  },
});
