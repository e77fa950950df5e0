/**
 * E-invoices: CII (Factur-X, ZUGFeRD 1 and 2, XRechnung) and UBL. What they state is exact, so it beats print and OCR.
 */
import type { z } from 'zod';
import { giveUp } from '../errors.ts';
import { baseOf } from './confidence.ts';
import type { Field, Found, Item } from './document.ts';
import { extractedData } from './result.ts';
import { asNode, attributeOf, child, children, decimal, type Node, readXml, text } from './xml.ts';

const maxItems = 10_000;

/** Undefined for XML that is no invoice. Throws `BAD_SOURCE` for what is not well-formed or declares a DTD. */
export function readEinvoice(bytes: Uint8Array): Found | undefined {
  const root = readXml(bytes);
  const cii = child(root, 'CrossIndustryInvoice|CrossIndustryDocument');
  if (cii !== undefined) return readCii(cii);
  const ubl = child(root, 'Invoice|CreditNote');
  return ubl === undefined ? undefined : readUbl(ubl, child(root, 'CreditNote') !== undefined);
}

/** `20141103` and `2014-11-03`. */
function date(value: string | undefined): string | undefined {
  const [, year, month, day] = /^(\d{4})-?(\d{2})-?(\d{2})/.exec(value ?? '') ?? [];
  return year === undefined ? value : `${year}-${month}-${day}`;
}

function found(
  values: Readonly<Record<string, string | number | undefined>>,
  items: readonly Item[],
  taxGroups: number,
): Found {
  const fields: Record<string, Field> = {};
  const issues: string[] = [];
  for (const [name, stated] of Object.entries(values)) {
    if (stated === undefined) continue;
    const value = typeof stated === 'string' ? stated.slice(0, 1_000) : stated;
    // What no result may say, such as 31 February, is left out and a person looks: the rest of the invoice stands.
    if (hasForm(name, value)) fields[name] = { value, confidence: baseOf.xml };
    else issues.push(`invalid_${name}`);
  }
  if (items.length > maxItems)
    throw giveUp('LIMIT_EXCEEDED', `expected at most ${maxItems} lines, got ${items.length}`);
  return { fields, items, taxGroups: Math.max(1, taxGroups), issues, agreed: {} };
}

const forms: Readonly<Record<string, z.ZodType>> = extractedData.shape;

function hasForm(name: string, value: string | number): boolean {
  return forms[name]?.safeParse(value).success === true;
}

/** A credit note states positive amounts that go the other way. */
function signed(isCredit: boolean): (value: number | undefined) => number | undefined {
  return (value) => (value === undefined || !isCredit || value < 0 ? value : 0 - value);
}

function readCii(root: Node): Found {
  const header = child(root, 'ExchangedDocument|HeaderExchangedDocument');
  const trade = child(root, 'SupplyChainTradeTransaction|SpecifiedSupplyChainTradeTransaction');
  const agreement = child(trade, 'ApplicableHeaderTradeAgreement|ApplicableSupplyChainTradeAgreement');
  const settlement = child(trade, 'ApplicableHeaderTradeSettlement|ApplicableSupplyChainTradeSettlement');
  const totals = child(
    settlement,
    'SpecifiedTradeSettlementHeaderMonetarySummation|SpecifiedTradeSettlementMonetarySummation',
  );
  const seller = child(agreement, 'SellerTradeParty');
  const isCredit = ['381', '396', '261', '262'].includes(text(header, 'TypeCode') ?? '');
  const amount = signed(isCredit);
  const items = children(trade, 'IncludedSupplyChainTradeLineItem')
    .map(asNode)
    .flatMap((line) => ciiItem(line, amount));
  return found(
    {
      document_kind: isCredit ? 'credit_note' : 'invoice',
      invoice_number: text(header, 'ID'),
      date: date(text(header, 'IssueDateTime/DateTimeString')),
      due_date: date(text(settlement, 'SpecifiedTradePaymentTerms/DueDateDateTime/DateTimeString')),
      seller_name: text(seller, 'Name'),
      seller_tax_id: ciiTaxId(seller),
      buyer_name: text(agreement, 'BuyerTradeParty/Name'),
      buyer_tax_id: ciiTaxId(child(agreement, 'BuyerTradeParty')),
      currency: text(settlement, 'InvoiceCurrencyCode'),
      net_amount: amount(decimal(totals, 'TaxBasisTotalAmount')),
      tax_amount: amount(decimal(totals, 'TaxTotalAmount')),
      total_amount: amount(decimal(totals, 'GrandTotalAmount')),
      charges_amount: amount(decimal(totals, 'ChargeTotalAmount')),
      allowances_amount: amount(decimal(totals, 'AllowanceTotalAmount')),
      prepaid_amount: amount(decimal(totals, 'TotalPrepaidAmount')),
      amount_due: amount(decimal(totals, 'DuePayableAmount')),
    },
    items,
    children(settlement, 'ApplicableTradeTax').length,
  );
}

/** The VAT number (scheme VA) before a local tax number. */
function ciiTaxId(seller: Node | undefined): string | undefined {
  const all = children(seller, 'SpecifiedTaxRegistration').map(asNode);
  const vat = all.find((one) => attributeOf(one, 'ID', 'schemeID') === 'VA') ?? all[0];
  return text(vat, 'ID');
}

function ciiItem(line: Node | undefined, amount: (value: number | undefined) => number | undefined): Item[] {
  const settlement = child(line, 'SpecifiedLineTradeSettlement|SpecifiedSupplyChainTradeSettlement');
  const total = amount(
    decimal(
      settlement,
      'SpecifiedTradeSettlementLineMonetarySummation|SpecifiedTradeSettlementMonetarySummation/LineTotalAmount',
    ),
  );
  // A line without an amount is a remark.
  if (total === undefined) return [];
  const agreement = child(line, 'SpecifiedLineTradeAgreement|SpecifiedSupplyChainTradeAgreement');
  const price = child(agreement, 'NetPriceProductTradePrice');
  return [
    {
      description: text(line, 'SpecifiedTradeProduct/Name')?.slice(0, 200),
      quantity: amount(decimal(line, 'SpecifiedLineTradeDelivery|SpecifiedSupplyChainTradeDelivery/BilledQuantity')),
      unitPrice: decimal(price, 'ChargeAmount'),
      priceBase: decimal(price, 'BasisQuantity'),
      adjustment: adjustmentOf(
        children(settlement, 'SpecifiedTradeAllowanceCharge'),
        'ChargeIndicator/Indicator',
        'ActualAmount',
      ),
      taxRate: decimal(settlement, 'ApplicableTradeTax/RateApplicablePercent|ApplicablePercent'),
      amount: total,
    },
  ];
}

/** Charges less allowances. */
function adjustmentOf(all: readonly unknown[], indicator: string, amount: string): number | undefined {
  const parts = all.map(asNode).map((one) => {
    const value = decimal(one, amount) ?? 0;
    return text(one, indicator) === 'true' ? value : 0 - value;
  });
  return parts.length === 0 ? undefined : Math.round(parts.reduce((a, b) => a + b, 0) * 1e6) / 1e6;
}

function readUbl(root: Node, isCreditNote: boolean): Found {
  const isCredit = isCreditNote || text(root, 'InvoiceTypeCode') === '381';
  const amount = signed(isCredit);
  const totals = child(root, 'LegalMonetaryTotal');
  const seller = child(root, 'AccountingSupplierParty/Party');
  const buyer = child(root, 'AccountingCustomerParty/Party');
  const items = children(root, 'InvoiceLine|CreditNoteLine')
    .map(asNode)
    .flatMap((line) => ublItem(line, amount));
  const [net, gross] = [decimal(totals, 'TaxExclusiveAmount'), decimal(totals, 'TaxInclusiveAmount')];
  const payable = decimal(totals, 'PayableAmount');
  return found(
    {
      document_kind: isCredit ? 'credit_note' : 'invoice',
      invoice_number: text(root, 'ID'),
      date: date(text(root, 'IssueDate')),
      due_date: date(text(root, 'DueDate') ?? text(root, 'PaymentMeans/PaymentDueDate')),
      seller_name: nameOf(seller),
      seller_tax_id: text(seller, 'PartyTaxScheme/CompanyID'),
      buyer_name: nameOf(buyer),
      buyer_tax_id: text(buyer, 'PartyTaxScheme/CompanyID'),
      currency: text(root, 'DocumentCurrencyCode'),
      net_amount: amount(net),
      tax_amount: amount(decimal(root, 'TaxTotal/TaxAmount')),
      total_amount: amount(gross ?? payable),
      charges_amount: amount(decimal(totals, 'ChargeTotalAmount')),
      allowances_amount: amount(decimal(totals, 'AllowanceTotalAmount')),
      prepaid_amount: amount(decimal(totals, 'PrepaidAmount')),
      amount_due: amount(payable),
    },
    items,
    children(child(root, 'TaxTotal'), 'TaxSubtotal').length,
  );
}

const nameOf = (party: Node | undefined): string | undefined =>
  text(party, 'PartyName/Name') ?? text(party, 'PartyLegalEntity/RegistrationName');

function ublItem(line: Node | undefined, amount: (value: number | undefined) => number | undefined): Item[] {
  const total = amount(decimal(line, 'LineExtensionAmount'));
  if (total === undefined) return [];
  return [
    {
      description: (text(line, 'Item/Name') ?? text(line, 'Item/Description'))?.slice(0, 200),
      quantity: amount(decimal(line, 'InvoicedQuantity|CreditedQuantity')),
      unitPrice: decimal(line, 'Price/PriceAmount'),
      priceBase: decimal(line, 'Price/BaseQuantity'),
      adjustment: adjustmentOf(children(line, 'AllowanceCharge'), 'ChargeIndicator', 'Amount'),
      taxRate: decimal(line, 'Item/ClassifiedTaxCategory|TaxCategory/Percent'),
      amount: total,
    },
  ];
}
