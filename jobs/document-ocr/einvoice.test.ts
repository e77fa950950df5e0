import { describe, expect, it } from 'vitest';
import { assess } from './assess.ts';
import { readEinvoice } from './einvoice.ts';
import { extractedData } from './result.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);
const ubl = (inner: string, root = 'Invoice'): Uint8Array =>
  bytes(
    `<?xml version="1.0"?><${root} xmlns="urn:oasis:names:specification:ubl:schema:xsd:${root}-2">${inner}</${root}>`,
  );
const body = `<ID>R-1</ID><IssueDate>2026-02-17</IssueDate><DocumentCurrencyCode>EUR</DocumentCurrencyCode>
  <AccountingSupplierParty><Party><PartyName><Name>Smith &amp; Söhne &#8364;</Name></PartyName></Party></AccountingSupplierParty>
  <TaxTotal><TaxAmount currencyID="EUR">19.00</TaxAmount><TaxSubtotal/></TaxTotal>
  <LegalMonetaryTotal><TaxExclusiveAmount>100.00</TaxExclusiveAmount><TaxInclusiveAmount>119.00</TaxInclusiveAmount><PayableAmount>119.00</PayableAmount></LegalMonetaryTotal>`;
const line = (root: string, quantity: string): string =>
  `<${root}><${quantity}>2</${quantity}><LineExtensionAmount>100</LineExtensionAmount><Item><Name>Desk</Name></Item><Price><PriceAmount>50</PriceAmount></Price></${root}>`;
const values = (found: ReturnType<typeof readEinvoice>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(found?.fields ?? {}).map(([name, { value }]) => [name, value]));

describe('an e-invoice', () => {
  it('in UBL is read with its attributes, entities and lines', () => {
    const found = readEinvoice(ubl(body + line('InvoiceLine', 'InvoicedQuantity')));
    expect(values(found)).toMatchObject({
      document_kind: 'invoice',
      invoice_number: 'R-1',
      date: '2026-02-17',
      seller_name: 'Smith & Söhne €',
      currency: 'EUR',
      net_amount: 100,
      tax_amount: 19,
      total_amount: 119,
    });
    expect(found?.items).toMatchObject([{ description: 'Desk', quantity: 2, unitPrice: 50, amount: 100 }]);
  });

  it('that gives money back is negative', () => {
    const found = readEinvoice(ubl(body + line('CreditNoteLine', 'CreditedQuantity'), 'CreditNote'));
    expect(values(found)).toMatchObject({ document_kind: 'credit_note', net_amount: -100, total_amount: -119 });
    expect(found?.items).toMatchObject([{ quantity: -2, unitPrice: 50, amount: -100 }]);
  });

  it('in UTF-16 is decoded by its mark', () => {
    const text = `\ufeff<Invoice><ID>Ü-1</ID></Invoice>`;
    expect(values(readEinvoice(Buffer.from(text, 'utf16le')))).toMatchObject({ invoice_number: 'Ü-1' });
  });

  it('is not any other XML', () => {
    expect(readEinvoice(bytes('<rss><channel/></rss>'))).toBeUndefined();
  });

  it.each([
    ['a DTD', '<!DOCTYPE Invoice SYSTEM "http://127.0.0.1/x.dtd"><Invoice><ID>1</ID></Invoice>'],
    ['a local file', '<!DOCTYPE I [<!ENTITY x SYSTEM "file:///etc/passwd">]><Invoice><ID>&x;</ID></Invoice>'],
    ['an entity bomb', '<!DOCTYPE I [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><Invoice><ID>&b;</ID></Invoice>'],
    ['an end that is missing', '<Invoice><ID>1</ID>'],
    ['a thousand levels', `<Invoice>${'<a>'.repeat(1_000)}${'</a>'.repeat(1_000)}</Invoice>`],
    ['names that JavaScript knows', '<Invoice><__proto__><ID>evil</ID></__proto__></Invoice>'],
    ['an encoding nobody knows', '<?xml version="1.0" encoding="x-nobody"?><Invoice/>'],
  ])('with %s is refused', (_, text) => {
    expect(() => readEinvoice(bytes(text))).toThrow(expect.objectContaining({ code: 'BAD_SOURCE' }));
  });

  it('leaves out amounts that are none', () => {
    const found = readEinvoice(
      ubl('<ID>1</ID><LegalMonetaryTotal><PayableAmount>1e99</PayableAmount></LegalMonetaryTotal>'),
    );
    expect(values(found)).not.toHaveProperty('total_amount');
  });

  it.each([
    ['date', '<IssueDate>2024-02-31</IssueDate>'],
    ['date', '<IssueDate>0000-00-00</IssueDate>'],
    ['date', '<IssueDate>2024-13-01</IssueDate>'],
    ['due_date', '<DueDate>20230229</DueDate>'],
    ['currency', `<DocumentCurrencyCode>${'EUR'.repeat(300)}</DocumentCurrencyCode>`],
    ['currency', '<DocumentCurrencyCode>Euro</DocumentCurrencyCode>'],
  ])('with a %s that is none is for review, without it: %s', (name, element) => {
    const tag = /<(\w+)>/.exec(element)?.[1] ?? '';
    const sloppy = body.replace(new RegExp(`<${tag}>[^<]*</${tag}>`), '') + element;
    const found = readEinvoice(ubl(sloppy + line('InvoiceLine', 'InvoicedQuantity')));
    if (found === undefined) throw new Error('no invoice');
    expect(values(found)).not.toHaveProperty(name);
    expect(extractedData.safeParse(values(found)).success).toBe(true);
    const { status, issues } = assess(found, 'invoice', undefined, { overall: 0.85, fields: {} });
    expect(status).toBe('review_required');
    expect(issues).toContain(`invalid_${name}`);
  });
});
