/** The result of document-ocr. Light: zod only. Amounts are in major units, dates `2018-12-31`. */
import { z } from 'zod';

const share = z.number().min(0).max(1);
const text = (max: number) => z.string().max(max);

const lineItem = z.object({
  description: text(200).optional(),
  quantity: z.number().optional(),
  unit_price: z.number().optional(),
  tax_rate: z.number().optional().describe('Per cent'),
  hsn: text(20).optional().describe('Code of the goods in the tariff of India, as printed'),
  amount: z.number(),
});

/** Every field is absent when the document does not say it or it could not be read. */
export const extractedData = z.object({
  document_kind: z.enum(['invoice', 'credit_note']).optional().describe('Amounts of a credit note are negative'),
  invoice_number: text(1_000).optional(),
  date: z.iso.date().optional(),
  due_date: z.iso.date().optional(),
  seller_name: text(1_000).optional(),
  seller_address: text(1_000).optional(),
  seller_tax_id: text(1_000).optional(),
  buyer_name: text(1_000).optional(),
  buyer_tax_id: text(1_000).optional(),
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/)
    .optional()
    .describe('ISO 4217'),
  net_amount: z.number().optional(),
  tax_amount: z.number().optional(),
  cgst_amount: z.number().optional().describe('India: half of the tax inside a state, as is sgst_amount'),
  sgst_amount: z.number().optional(),
  igst_amount: z.number().optional().describe('India: the tax across states'),
  charges_amount: z.number().optional(),
  allowances_amount: z.number().optional(),
  total_amount: z.number().optional().describe('Everything, tax included'),
  prepaid_amount: z.number().optional(),
  amount_due: z.number().optional().describe('What is left to pay'),
  line_items: z.array(lineItem).max(200).optional().describe('At most 200'),
  text: z.string().optional().describe('Of a plain document; its first 8,000 characters'),
  text_object: z.string().startsWith('object:').optional().describe('The whole text, where it is longer'),
});

export const result = z.object({
  status: z
    .enum(['completed', 'review_required', 'failed'])
    .describe('failed: no text, or a required field is missing. review_required: a person has to look'),
  extracted_data: extractedData,
  confidence_scores: z.object({ overall: share }).catchall(share).describe('Overall and by field, 0 to 1'),
  validation: z.object({
    line_items_sum_matches_total: z.boolean().nullable().describe('Null: no lines, or no total to hold them against'),
    issues: z
      .array(z.string())
      .describe(
        'Codes: missing_date, invalid_date, line_items_sum_mismatch, line_2_quantity_times_price_mismatch, gst_split_mismatch …',
      ),
  }),
  page_confidence: z.array(share).describe('Mean of the words of each page; decides nothing'),
  source: z
    .enum(['e_invoice', 'text_layer', 'ocr', 'mixed', 'vision', 'nothing'])
    .describe('What the fields came from'),
  pages: z.array(z.string().startsWith('object:')).describe('Pictures of the pages, for those who review; else empty'),
});
