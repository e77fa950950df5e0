import { join } from 'node:path';
import sharp from 'sharp';
import { defineHandler } from '../../../jobs/define.ts';
import job from './job.ts';

sharp.cache(false);
sharp.concurrency(1);

export default defineHandler(job, {
  run: async ({ input }, ctx) => {
    const { path } = await ctx.objects.fetch(input, { maxBytes: 10_000_000 });
    const output = join(ctx.folder, 'small.webp');
    await sharp(path).resize({ width: 320 }).webp().toFile(output);
    return ctx.objects.put('small.webp', output, 'image/webp');
  },
});
