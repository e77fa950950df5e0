import { z } from 'zod';
import { defineHandler } from '../define.ts';
import { sharpMissing } from './installed.ts';
import job from './job.ts';

export default defineHandler(job, {
  env: z.object({
    IMAGE_SVG: z
      .enum(['on', 'off'])
      .default('on')
      .describe('off: image-processing refuses SVG (BAD_SOURCE) instead of drawing it'),
  }),
  missing: async () => sharpMissing(),
  // libvips is mapped by the children that decode, never by the worker that asks what this type needs.
  load: () => import('./make.ts'),
  open: async ({ IMAGE_SVG }) => {
    const { openMaker } = await import('./make.ts');
    return { make: openMaker({ isSvgOn: IMAGE_SVG === 'on' }), close: () => undefined };
  },
  run: (payload, ctx, { make }) => make(payload, ctx),
});
