/**
 * Goods and services tax of India: inside a state half of the rate is CGST and half SGST, across states all of it is
 * IGST; the first two digits of a GSTIN are its state. An invoice number has at most 16 letters, digits, `-` and `/`
 * (CGST rule 46(b)).
 */
import { type Found, numberOf } from './document.ts';

export interface GstSplit {
  readonly taxable: number;
  /** Whole rate in per cent. */
  readonly rate: number;
  /** First two digits of both GSTINs. */
  readonly supplierState: string;
  readonly placeOfSupply: string;
}

/** India: inside a state half the rate is CGST and half SGST, across states all of it IGST; each rounded to the paisa. */
export function expectedGst({ taxable, rate, supplierState, placeOfSupply }: GstSplit): {
  readonly cgst: number;
  readonly sgst: number;
  readonly igst: number;
  readonly total: number;
} {
  const paise = (share: number): number => Math.round(taxable * share) / 100;
  const isInside = supplierState === placeOfSupply;
  const half = isInside ? paise(rate / 2) : 0;
  const igst = isInside ? 0 : paise(rate);
  return { cgst: half, sgst: half, igst, total: Math.round((taxable + 2 * half + igst) * 100) / 100 };
}

const isGstin = (value: unknown): value is string =>
  typeof value === 'string' && /^\d{2}[A-Z]{5}\d{4}[A-Z][1-9A-Z]Z[0-9A-Z]$/.test(value);
/** One, and what arithmetic in halves may add to it. */
const paisa = 0.011;
/** The code of no state. */
const elsewhere = '00';
const rates = [0, 0.25, 3, 5, 12, 18, 28, 40];

/** Only for documents of an issuer with a GSTIN; on a receipt the number of the booking is none of an invoice. */
export function gstIssues(found: Found): string[] {
  const [supplier, buyer] = [found.fields['seller_tax_id']?.value, found.fields['buyer_tax_id']?.value];
  if (!isGstin(supplier)) return [];
  const supplierState = supplier.slice(0, 2);
  const buyerState = isGstin(buyer) ? buyer.slice(0, 2) : undefined;
  const number = found.fields['invoice_number']?.value;
  const isNumber = typeof number !== 'string' || /^[A-Za-z0-9/-]{1,16}$/.test(number);
  const isInside = buyerState === undefined ? undefined : buyerState === supplierState;
  return [
    ...(isNumber ? [] : ['gst_invoice_number_invalid']),
    ...(fitsSplit(found, isInside) ? [] : ['gst_split_mismatch']),
    ...(fitsRate(found, supplierState, buyerState) ? [] : ['gst_rate_unknown']),
    ...found.items.flatMap(({ hsn }, index) =>
      hsn === undefined || /^\d{4,8}$/.test(hsn) ? [] : [`line_${index + 1}_hsn_invalid`],
    ),
  ];
}

/** `isInside` undefined: the state of the buyer is not known, so that either way will do, but not both. */
function fitsSplit(found: Found, isInside: boolean | undefined): boolean {
  const [central = 0, state = 0, integrated = 0] = ['cgst_amount', 'sgst_amount', 'igst_amount'].map((name) =>
    numberOf(found, name),
  );
  const hasHalves = central !== 0 || state !== 0;
  if (Math.abs(central - state) >= paisa) return false;
  if (hasHalves && integrated !== 0) return false;
  if (isInside === undefined) return true;
  return isInside ? integrated === 0 : !hasHalves;
}

/** One rate for the whole: the tax must be that of some rate, in halves or in one. */
function fitsRate(found: Found, supplierState: string, buyerState: string | undefined): boolean {
  const [taxable, tax] = [numberOf(found, 'net_amount'), numberOf(found, 'tax_amount')];
  if (taxable === undefined || tax === undefined || found.items.some((item) => item.taxRate !== undefined)) return true;
  const places = buyerState === undefined ? [supplierState, elsewhere] : [buyerState];
  return rates.some((rate) =>
    places.some((placeOfSupply) => {
      const split = expectedGst({ taxable, rate, supplierState, placeOfSupply });
      return Math.abs(split.cgst + split.sgst + split.igst - tax) < paisa;
    }),
  );
}
