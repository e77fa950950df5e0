import { describe, expect, it } from 'vitest';
import { checkSums } from './checks.ts';
import type { Item } from './document.ts';
import { expectedGst, gstIssues } from './gst.ts';

const items = (amounts: readonly number[]) => amounts.map((amount) => ({ amount }));
const failed = (facts: Parameters<typeof checkSums>[0]): string[] =>
  checkSums(facts)
    .checks.filter(({ passed }) => !passed)
    .map(({ issue }) => issue);

describe('lines against the total', () => {
  it.each([
    ['net lines', { items: items([40, 200, 180, 150, 200, 75, 0]), net: 845, gross: 1_005.55 }, true],
    ['gross lines', { items: items([49.99, 0]), net: 41.31, gross: 49.99 }, true],
    ['charges', { items: items([84.95, 719.4]), charges: 4.99, net: 809.34, gross: 963.11 }, true],
    ['allowances', { items: items([100, 50]), allowances: 15, net: 135, gross: 160.65 }, true],
    [
      'a levy that is contained in another line',
      { items: items([399, 4.24, 69.99, 189, 14.99, 44.99]), gross: 717.97 },
      false,
    ],
    ['nothing to hold them against', { items: items([1, 2]) }, null],
    ['no lines', { items: [], net: 5 }, null],
    ['a credit note', { items: items([-10, -5]), net: -15, gross: -17.85 }, true],
  ])('%s', (_, facts, expected) => {
    expect(checkSums(facts).lineItemsSumMatchesTotal).toBe(expected);
  });

  it('allows half a cent for each line, and not more', () => {
    expect(checkSums({ items: items([1, 1]), net: 2.01 }).lineItemsSumMatchesTotal).toBe(true);
    expect(checkSums({ items: items([1, 1]), net: 2.02 }).lineItemsSumMatchesTotal).toBe(false);
    expect(checkSums({ items: items([100, 100]), net: 201, currency: 'JPY' }).lineItemsSumMatchesTotal).toBe(true);
  });
});

describe('the other checks', () => {
  it('net and tax make the gross within half a cent for each rate and one more', () => {
    expect(failed({ items: [], net: 100, tax: 19, gross: 119.01 })).toEqual([]);
    expect(failed({ items: [], net: 100, tax: 19, gross: 119.02 })).toEqual(['net_plus_tax_mismatch']);
    expect(failed({ items: [], net: 100, tax: 19, gross: 119.02, taxGroups: 3 })).toEqual([]);
  });

  it('quantity times price is the amount, whatever the sums say', () => {
    const wrong = [{ quantity: 2, unitPrice: 160, amount: 160 }, { amount: 336 }];
    expect(failed({ items: wrong, net: 496 })).toEqual(['line_1_quantity_times_price_mismatch']);
    expect(failed({ items: [{ quantity: 11.6667, unitPrice: 60.9244, amount: 710.79 }], net: 710.79 })).toEqual([]);
    expect(failed({ items: [{ quantity: 500, unitPrice: 3, priceBase: 100, amount: 15 }] })).toEqual([]);
    expect(failed({ items: [{ quantity: 2, unitPrice: 10, adjustment: -2, amount: 18 }] })).toEqual([]);
  });

  it('what is due is the total less what was paid before', () => {
    expect(failed({ items: [], gross: 100, prepaid: 40, due: 60 })).toEqual([]);
    expect(failed({ items: [], gross: 100, prepaid: 40, due: 100 })).toEqual(['amount_due_mismatch']);
  });
});

describe('GST of India', () => {
  it.each([
    [
      { taxable: 1_000, rate: 18, supplierState: '27', placeOfSupply: '27' },
      { cgst: 90, sgst: 90, igst: 0, total: 1_180 },
    ],
    [
      { taxable: 1_000, rate: 18, supplierState: '06', placeOfSupply: '27' },
      { cgst: 0, sgst: 0, igst: 180, total: 1_180 },
    ],
    [
      { taxable: 99.99, rate: 5, supplierState: '33', placeOfSupply: '33' },
      { cgst: 2.5, sgst: 2.5, igst: 0, total: 104.99 },
    ],
  ])('%o', (split, expected) => {
    expect(expectedGst(split)).toEqual(expected);
  });

  const field = (value: string | number) => ({ value, confidence: 1 });
  const found = (fields: Record<string, string | number>, lines: readonly Item[] = []) => ({
    fields: Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, field(value)])),
    items: lines,
    issues: [],
    agreed: {},
  });
  const seller = { seller_tax_id: '06AABCO6063D1ZQ' };

  it('looks at the number and the rate of invoices whose issuer has a GSTIN', () => {
    expect(
      gstIssues(found({ ...seller, invoice_number: 'INV/2024-25/001', net_amount: 1_000, tax_amount: 180 })),
    ).toEqual([]);
    expect(gstIssues(found({ ...seller, invoice_number: 'INVOICE/2024-25/0001' }))).toEqual([
      'gst_invoice_number_invalid',
    ]);
    expect(gstIssues(found({ ...seller, net_amount: 1_000, tax_amount: 170 }))).toEqual(['gst_rate_unknown']);
    expect(gstIssues(found({ seller_tax_id: 'DE123456789', invoice_number: 'no number at all' }))).toEqual([]);
  });

  const inside = { ...seller, buyer_tax_id: '06AAACR5055K1Z7' };
  const across = { ...seller, buyer_tax_id: '27AAACR5055K1Z7' };
  it.each<readonly [string, Record<string, string | number>, readonly string[]]>([
    ['halves inside a state', { ...inside, cgst_amount: 90, sgst_amount: 90 }, []],
    ['one across states', { ...across, igst_amount: 180 }, []],
    ['one inside a state', { ...inside, igst_amount: 180 }, ['gst_split_mismatch']],
    ['halves across states', { ...across, cgst_amount: 90, sgst_amount: 90 }, ['gst_split_mismatch']],
    ['halves that differ', { ...inside, cgst_amount: 90, sgst_amount: 80 }, ['gst_split_mismatch']],
    ['a half alone', { ...inside, cgst_amount: 180 }, ['gst_split_mismatch']],
    ['both ways at once', { ...seller, cgst_amount: 90, sgst_amount: 90, igst_amount: 180 }, ['gst_split_mismatch']],
    ['zeros of the other way', { ...across, cgst_amount: 0, sgst_amount: 0, igst_amount: 180 }, []],
    ['halves, the buyer unknown', { ...seller, cgst_amount: 90, sgst_amount: 90 }, []],
    ['one, the buyer unknown', { ...seller, igst_amount: 180 }, []],
  ])('by both GSTINs: %s', (_, fields, issues) => {
    expect(gstIssues(found(fields))).toEqual(issues);
  });

  it.each([
    ['8471', []],
    ['847130', []],
    ['84713010', []],
    ['847', ['line_2_hsn_invalid']],
    ['847130101', ['line_2_hsn_invalid']],
    ['84AB', ['line_2_hsn_invalid']],
  ])('a HSN code has 4 to 8 digits: %s', (hsn, issues) => {
    expect(gstIssues(found(seller, [{ amount: 1 }, { amount: 1, hsn }]))).toEqual(issues);
  });
});
