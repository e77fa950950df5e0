import { z } from 'zod';
import { defineHandler } from '../define.ts';
import job from './job.ts';

const share = z.coerce.number().gt(0).max(1);

export default defineHandler(job, {
  env: z.object({
    OCR_CONFIDENCE_THRESHOLD: share
      .default(0.85)
      .describe('Documents with a required or expected field below it are for review'),
    OCR_FIELD_THRESHOLDS: z
      .string()
      .regex(/^(?:[a-z_]+=(?:0?\.\d+|1(?:\.0+)?)(?:,|$))*$/, 'expected field=0.9,field=0.8')
      .default('')
      .describe('Other thresholds for single fields: `total_amount=0.95,date=0.8`'),
    OCR_ENGINE: z
      .enum(['auto', 'tesseract', 'tesseract.js'])
      .default('auto')
      .describe('auto: the tesseract program of the system where it is on PATH, else tesseract.js'),
    OCR_PAGE_SECONDS: z.coerce
      .number()
      .min(1)
      .max(300)
      .default(120)
      .describe('A page that takes longer to read ends the job with LIMIT_EXCEEDED'),
    GEMINI_API_KEY: z
      .string()
      .min(1)
      .optional()
      .describe('Asks this vision model too when an invoice or receipt is in doubt; its pages leave the house then'),
    GEMINI_MODEL: z
      .string()
      .regex(/^[\w.-]{1,100}$/)
      .default('gemini-2.5-flash')
      .describe('Which model'),
    GEMINI_CALLS_PER_HOUR: z.coerce
      .number()
      .int()
      .min(1)
      .max(100_000)
      .default(60)
      .describe('How often one tenant may have it asked; its documents beyond that wait'),
    GEMINI_URL: z.url().default('https://generativelanguage.googleapis.com').describe('Where it is asked'),
  }),
  // PDFium, libvips and the engines are mapped by the children that read, never by the worker.
  load: () => import('./process.ts'),
  open: async (env) => {
    const { openReader } = await import('./process.ts');
    return openReader(env);
  },
  run: (payload, ctx, { process }) => process(payload, ctx),
});
