import { z } from 'zod';
import { defineJob, inputFile } from '../define.ts';
import { extractedData, result } from './result.ts';

export default defineJob({
  name: 'document-ocr',
  aliases: ['document_ocr'],
  summary:
    'Reads invoices, receipts and documents: embedded e-invoice, then text layer, then OCR; unsure ones go to review.',
  payload: z.strictObject({
    file_id: inputFile().describe(
      'PDF, PNG, JPEG, WebP, GIF, TIFF, BMP, PNM, or an e-invoice as XML; at most 50 MB, 50 pages, 50 megapixels a page',
    ),
    document_type: z
      .enum(['invoice', 'receipt', 'document'])
      .default('document')
      .describe('Which fields are looked for; document: text only'),
  }),
  result,
  review: {
    data: extractedData,
    of: ({ status, extracted_data, confidence_scores, validation, pages }) =>
      status === 'review_required'
        ? { data: extracted_data, confidence: confidence_scores.overall, issues: validation.issues, pages }
        : undefined,
  },
  policy: {
    isolation: 'child',
    order: 'fair',
    concurrency: 2,
    timeoutMs: 300_000,
    perTenant: { rate: { points: 20, windowMs: 3_600_000 } },
    child: { memoryMb: 1_024, diskMb: 512, cpuSeconds: 600, processes: 16 },
  },
});
