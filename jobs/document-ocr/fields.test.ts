import { describe, expect, it } from 'vitest';
import { assess } from './assess.ts';
import { findFields } from './fields.ts';
import { linesOf, meanConfidence, type ReadPage, type Word } from './words.ts';

/** A page of lines; two spaces and more make a gap of that many letters. `word{80}` is read with that confidence. */
function page(text: string, confidence = 0.95): ReadPage {
  const words: Word[] = [];
  for (const [row, line] of text.split('\n').entries()) {
    for (const match of line.matchAll(/\S+/g)) {
      const [, word = '', said] = /^(.*?)(?:\{(\d+)\})?$/.exec(match[0]) ?? [];
      const left = match.index * 10;
      const box = { left, top: row * 30, right: left + word.length * 10, bottom: row * 30 + 20 };
      words.push({ text: word, confidence: said === undefined ? confidence : Number(said) / 100, box });
    }
  }
  return { number: 1, source: 'ocr', words, text };
}

const values = (text: string, type: 'invoice' | 'receipt' = 'receipt'): Record<string, unknown> =>
  Object.fromEntries(Object.entries(findFields([page(text)], type).fields).map(([name, { value }]) => [name, value]));

const till = `KEDAI KOPI SDN BHD
(81109-A)
NO 12, JALAN BESAR, 53200 KUALA LUMPUR
Date: 02/01/2018  Time: 09:28
Item          Qty   Price   Amount
Tea             2    2.20     4.40
Cake            1    5.60     5.60
Total Sales (Excluding GST) :   9.43
Total GST :    0.57
Rounding :    0.00
Total Sales (Inclusive of GST) :   RM 10.00
CASH :   20.00
Change :   10.00
GST SUMMARY
Total :   9.43   0.57`;

describe('a receipt', () => {
  it('gives what its labels name', () => {
    expect(values(till)).toMatchObject({
      seller_name: 'KEDAI KOPI SDN BHD',
      date: '2018-01-02',
      total_amount: 10,
      net_amount: 9.43,
      tax_amount: 0.57,
      currency: 'MYR',
    });
  });

  it('is completed when everything was read well and agrees', () => {
    const found = findFields([page(till)], 'receipt');
    const thresholds = { overall: 0.85, fields: {} };
    expect(assess(found, 'receipt', 0.95, thresholds)).toMatchObject({
      status: 'completed',
      lineItemsSumMatchesTotal: true,
      issues: [],
    });
  });

  it('whose total is unsure, with nothing to check it by, goes to a person', () => {
    const found = findFields([page('SHOP LTD\nDate: 2018-01-02\nTotal : RM 10.00{80}')], 'receipt');
    const assessed = assess(found, 'receipt', 0.9, { overall: 0.85, fields: {} });
    expect(assessed).toMatchObject({ status: 'review_required', issues: [], scores: { total_amount: 0.8 } });
  });

  it('whose unsure total agrees with everything else on it is believed', () => {
    const found = findFields([page(till.replace('RM 10.00', 'RM 10.00{80}'))], 'receipt');
    expect(assess(found, 'receipt', 0.9, { overall: 0.85, fields: {} }).scores['total_amount']).toBeGreaterThan(0.95);
  });

  it('with two totals that differ is sure of none', () => {
    const found = findFields([page('SHOP LTD\nTotal : 9.00\nRounded Total (RM): 9.60')], 'receipt');
    expect(found.agreed['total_amount']).toBe(false);
    const { scores } = assess(found, 'receipt', 0.95, { overall: 0.85, fields: {} });
    expect(scores['total_amount']).toBeLessThanOrEqual(0.8);
  });

  it('takes no foot of another column for its total', () => {
    expect(
      values('SHOP LTD\nTotal Qty: 4  12.00\nTOTAL INCLUDES 6% GST 0.48\nTOTAL LOADING CHARGES 1.00'),
    ).not.toHaveProperty('total_amount');
  });

  it('may have none at all', () => {
    expect(values('')).toEqual({});
    expect(
      assess(findFields([page('')], 'receipt'), 'receipt', undefined, { overall: 0.85, fields: {} }),
    ).toMatchObject({
      status: 'failed',
      issues: ['no_text', 'missing_total_amount', 'missing_date', 'missing_seller_name', 'missing_currency'],
    });
  });
});

describe('an invoice', () => {
  it('in Polish', () => {
    const text = `Faktura nr: F 1234K20/1234/12          Data wystawienia: 2021-01-01
Sprzedawca: PALIWA S.A.
Nabywca: BIURO S.A.
Należność ogółem: 316,83 PLN`;
    expect(values(text, 'invoice')).toMatchObject({
      invoice_number: 'F 1234K20/1234/12',
      date: '2021-01-01',
      total_amount: 316.83,
      currency: 'PLN',
    });
  });

  it('in German, with the number below its heading', () => {
    const text = `Muster GmbH
Rechnungsnummer     Rechnungsdatum
2014-03/7           11.07.2014
Nettobetrag          845,00 €
MwSt 19%             160,55 €
Gesamtbetrag       1.005,55 €`;
    expect(values(text, 'invoice')).toMatchObject({
      seller_name: 'Muster GmbH',
      invoice_number: '2014-03/7',
      date: '2014-07-11',
      net_amount: 845,
      tax_amount: 160.55,
      total_amount: 1_005.55,
      currency: 'EUR',
    });
  });

  it('keeps the buyer apart from the seller, and the due date from the date', () => {
    const text = `Bill to: Customer Ltd
Seller Inc.
Invoice No: A-77
Due Date: 2026-03-04
Invoice Date: 2026-02-17
Total: $ 12.00`;
    expect(values(text, 'invoice')).toMatchObject({
      seller_name: 'Seller Inc.',
      invoice_number: 'A-77',
      date: '2026-02-17',
      due_date: '2026-03-04',
    });
  });

  it('whose lines do not add up goes to a person', () => {
    const text = `Seller Inc.
Invoice No: A-77    Invoice Date: 2026-02-17
Item       Qty   Price     Amount
Desk         2    10.00     20.00
Chair        1     5.00      5.00
Total: USD 30.00`;
    const assessed = assess(findFields([page(text)], 'invoice'), 'invoice', 0.95, { overall: 0.85, fields: {} });
    expect(assessed).toMatchObject({ status: 'review_required', lineItemsSumMatchesTotal: false });
    expect(assessed.issues).toContain('line_items_sum_mismatch');
    expect(assessed.scores['total_amount']).toBeLessThanOrEqual(0.8);
  });
});

describe('lines', () => {
  it('go over the whole width, whatever order the words come in', () => {
    const { words } = page('Total         9.00\nCash         10.00');
    const shuffled: ReadPage = { number: 1, source: 'ocr', words: words.toReversed(), text: '' };
    expect(linesOf(shuffled).map(({ text }) => text)).toEqual(['Total 9.00', 'Cash 10.00']);
  });

  it('have a mean that long words weigh more in', () => {
    const { words } = page('a{0} abcdefghi{100}');
    expect(meanConfidence(words)).toBeCloseTo(0.9, 10);
    expect(meanConfidence([])).toBeUndefined();
  });
});

describe('GST of India', () => {
  const invoice = (buyer: string, taxes: string): string => `ACME TRADERS PVT LTD
12 MG Road, Bengaluru
GSTIN: 29AAACA1234A1Z5
Invoice No: INV-7            Invoice Date: 17 Feb 2026
Bill To:
REKHA STORES
${buyer}
Description     HSN/SAC    Qty    Rate     Amount
Steel desk      94033010     2    250.00   500.00
Lamp            940          1    500.00   500.00
Taxable value   ₹1,000.00
${taxes}
Grand Total     ₹1,180.00`;

  it.each([
    ['CGST @ 9%   90.00\nSGST @ 9%   90.00', { cgst_amount: 90, sgst_amount: 90 }],
    ['CGST 9.00%  90.00   SGST 9.00%   90.00', { cgst_amount: 90, sgst_amount: 90 }],
    ['CGST (9%)   ₹90.00\nUTGST (9%)  ₹90.00', { cgst_amount: 90, sgst_amount: 90 }],
    ['IGST 18%    180.00', { igst_amount: 180 }],
  ])('the taxes are told apart: %j', (taxes, expected) => {
    const got = values(invoice('GSTIN: 29AAACR5055K1Z7', taxes), 'invoice');
    expect(got).toMatchObject({
      seller_tax_id: '29AAACA1234A1Z5',
      buyer_tax_id: '29AAACR5055K1Z7',
      ...expected,
    });
    const names = Object.keys(got).filter((name) => /^[cis]gst_amount$/.test(name));
    expect(names.toSorted()).toEqual(Object.keys(expected).toSorted());
  });

  it.each([
    ['GSTIN: 29AAACR5055K1Z7', 'CGST @ 9% 90.00\nSGST @ 9% 90.00', []],
    ['GSTIN: 29AAACR5055K1Z7', 'IGST 18% 180.00', ['gst_split_mismatch']],
    ['GSTIN: 27AAACR5055K1Z7', 'IGST 18% 180.00', []],
    ['GSTIN: 27AAACR5055K1Z7', 'CGST @ 9% 90.00\nSGST @ 9% 90.00', ['gst_split_mismatch']],
    ['Mumbai', 'IGST 18% 180.00', []],
  ])('the split is held against both GSTINs: %s, %j', (buyer, taxes, expected) => {
    const { issues } = assess(findFields([page(invoice(buyer, taxes))], 'invoice'), 'invoice', 0.95, {
      overall: 0.85,
      fields: {},
    });
    expect(issues.filter((issue) => issue.startsWith('gst_'))).toEqual(expected);
    expect(issues).toContain('line_2_hsn_invalid');
    expect(issues).not.toContain('line_1_hsn_invalid');
  });

  it('a buyer who stands first is no seller', () => {
    const got = values(
      'Bill To:                     ACME TRADERS PVT LTD\nREKHA STORES                 GSTIN 29AAACA1234A1Z5\nBuyer GSTIN: 27AAACR5055K1Z7\nTotal ₹118.00',
      'invoice',
    );
    expect(got).toMatchObject({ seller_tax_id: '29AAACA1234A1Z5', buyer_tax_id: '27AAACR5055K1Z7' });
  });
});
