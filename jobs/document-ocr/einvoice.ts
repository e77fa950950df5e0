/**
 * E-invoices: CII (Factur-X, ZUGFeRD 1 and 2, XRechnung) and UBL. What they state is exact, so it beats print and OCR.
 * The XML is as untrusted as the rest: no DTD, so no entity but the five of XML, nothing external, at most 10 MB.
 */
import { XMLParser } from 'fast-xml-parser';
import { giveUp } from '../errors.ts';
import { baseOf } from './confidence.ts';
import type { Field, Found, Item } from './document.ts';

type Node = Readonly<Record<string, unknown>>;

const maxBytes = 10_000_000;
const maxDepth = 60;
const maxItems = 10_000;

/** Undefined for XML that is no invoice. Throws `BAD_SOURCE` for what is not well-formed or declares a DTD. */
export function readEinvoice(bytes: Uint8Array): Found | undefined {
  if (bytes.byteLength > maxBytes)
    throw giveUp('LIMIT_EXCEEDED', `expected an e-invoice of at most ${maxBytes} bytes, got ${bytes.byteLength}`);
  const root = parseXml(decode(bytes));
  const cii = child(root, 'CrossIndustryInvoice|CrossIndustryDocument');
  if (cii !== undefined) return readCii(cii);
  const ubl = child(root, 'Invoice|CreditNote');
  return ubl === undefined ? undefined : readUbl(ubl, child(root, 'CreditNote') !== undefined);
}

function decode(bytes: Uint8Array): string {
  const head = Buffer.from(bytes.subarray(0, 200)).toString('latin1');
  const declared = /^[^>]*encoding\s*=\s*["']([\w.:-]{1,40})["']/.exec(head)?.[1] ?? 'utf-8';
  const label =
    bytes[0] === 0xff && bytes[1] === 0xfe
      ? 'utf-16le'
      : bytes[0] === 0xfe && bytes[1] === 0xff
        ? 'utf-16be'
        : declared;
  try {
    return new TextDecoder(label).decode(bytes);
  } catch (error) {
    throw giveUp('BAD_SOURCE', `The XML names an encoding nobody knows: ${label}`, { cause: error });
  }
}

function parseXml(text: string): Node {
  if (/<!(?:DOCTYPE|ENTITY)/i.test(text))
    throw giveUp('BAD_SOURCE', 'The XML declares a DTD, which is not read; send it without one');
  checkDepth(text);
  const parser = new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: '@',
    removeNSPrefix: true,
    parseTagValue: false,
    parseAttributeValue: false,
    trimValues: true,
    processEntities: true,
    // The numeric ones among them: &#8364;
    htmlEntities: true,
  });
  try {
    return asNode(parser.parse(text, true)) ?? {};
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw giveUp('BAD_SOURCE', `The XML is not well-formed: ${reason.slice(0, 200)}`, { cause: error });
  }
}

/** The parser calls itself for every level. */
function checkDepth(text: string): void {
  let depth = 0;
  for (const [tag] of text.matchAll(/<[/A-Za-z_][^<>]{0,2000}>/g)) {
    if (tag.startsWith('</')) depth -= 1;
    else if (!tag.endsWith('/>')) depth += 1;
    if (depth > maxDepth) throw giveUp('BAD_SOURCE', `expected XML of at most ${maxDepth} levels, got more`);
  }
}

function asNode(value: unknown): Node | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
}

/** Child elements of any of the names (`A|B`), in order. */
function children(node: Node | undefined, names: string): unknown[] {
  if (node === undefined) return [];
  return names.split('|').flatMap((name) => {
    const value = node[name];
    return value === undefined ? [] : Array.isArray(value) ? value : [value];
  });
}

function child(node: Node | undefined, path: string): Node | undefined {
  let at: Node | undefined = node;
  for (const names of path.split('/'))
    at = children(at, names)
      .map(asNode)
      .find((one) => one !== undefined);
  return at;
}

/** The text of an element, whether it has attributes or not. */
function text(node: Node | undefined, path: string): string | undefined {
  const cut = path.lastIndexOf('/');
  const parent = cut < 0 ? node : child(node, path.slice(0, cut));
  const [value] = children(parent, path.slice(cut + 1));
  const content = typeof value === 'string' ? value : asNode(value)?.['#text'];
  return typeof content === 'string' && content.trim() !== '' ? content.trim() : undefined;
}

function decimal(node: Node | undefined, path: string): number | undefined {
  const value = text(node, path);
  return value !== undefined && /^[+-]?\d{1,15}(?:\.\d{1,15})?$/.test(value) ? Number(value) : undefined;
}

/** `20141103` and `2014-11-03`. */
function date(value: string | undefined): string | undefined {
  const [, year, month, day] = /^(\d{4})-?(\d{2})-?(\d{2})/.exec(value ?? '') ?? [];
  return year === undefined ? undefined : `${year}-${month}-${day}`;
}

const attributeOf = (node: Node | undefined, path: string, name: string): string | undefined => {
  const value = child(node, path)?.[`@${name}`];
  return typeof value === 'string' ? value : undefined;
};

function found(
  values: Readonly<Record<string, string | number | undefined>>,
  items: readonly Item[],
  taxGroups: number,
): Found {
  const fields: Record<string, Field> = {};
  for (const [name, value] of Object.entries(values))
    if (value !== undefined)
      fields[name] = { value: typeof value === 'string' ? value.slice(0, 1_000) : value, confidence: baseOf.xml };
  if (items.length > maxItems)
    throw giveUp('LIMIT_EXCEEDED', `expected at most ${maxItems} lines, got ${items.length}`);
  return { fields, items, taxGroups: Math.max(1, taxGroups), issues: [], agreed: {} };
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
