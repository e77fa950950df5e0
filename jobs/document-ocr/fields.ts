/** Fields from the words of pages. Pure: the same words always give the same fields. */
import { checkSums } from './checks.ts';
import type { DocumentType } from './confidence.ts';
import type { Field, Found } from './document.ts';
import { findGstTaxes } from './gst-taxes.ts';
import { findItems } from './items.ts';
import { findDates, findNumber } from './number-and-dates.ts';
import { findAddress, findCurrency, findSeller, findTaxIds } from './parties.ts';
import { findTotals, type Row, rowsOf, type Totals } from './totals.ts';
import { linesOf, type ReadPage } from './words.ts';

/** Lines of items that cannot be trusted are left out: they would only make sums fail that are right. */
const itemsTrusted = 0.85;

export function findFields(pages: readonly ReadPage[], type: Exclude<DocumentType, 'document'>): Found {
  const rows = rowsOf(pages.flatMap(linesOf));
  const lines = rows.map(({ line }) => line);
  const totals = findTotals(rows);
  const currency = findCurrency(rows);
  const code = currency === undefined ? undefined : String(currency.field.value);
  const dates = findDates(lines, code);
  const seller = findSeller(lines);
  const taxIds = findTaxIds(lines);
  const { items, sumsUp } = trustedItems(rows, totals, code);
  const fields: Record<string, Field | undefined> = {
    ...totals.fields,
    ...(type === 'invoice' ? { invoice_number: findNumber(lines), due_date: dates.dueDate } : {}),
    date: dates.date,
    seller_name: seller,
    seller_address: findAddress(lines, seller),
    seller_tax_id: taxIds.seller,
    buyer_tax_id: taxIds.buyer,
    ...findGstTaxes(rows),
    currency: currency?.field,
  };
  const agreed: Record<string, boolean> = {};
  if (totals.agreed !== undefined) agreed['total_amount'] = totals.agreed;
  else if (sumsUp) agreed['total_amount'] = true;
  if (dates.agreed !== undefined) agreed['date'] = dates.agreed;
  if (currency?.agreed === true) agreed['currency'] = true;
  return {
    fields: Object.fromEntries(
      Object.entries(fields).flatMap(([name, field]) => (field === undefined ? [] : [[name, field]])),
    ),
    items,
    issues: dates.isAmbiguous ? ['ambiguous_date'] : [],
    agreed,
  };
}

/** Items count when they were read well, or when they add up, which misread ones do not. */
function trustedItems(rows: readonly Row[], totals: Totals, currency: string | undefined) {
  const { items, confidence } = findItems(rows);
  const value = (name: string): number | undefined => {
    const found = totals.fields[name]?.value;
    return typeof found === 'number' ? found : undefined;
  };
  const sums = checkSums({
    items: items.map(({ amount }) => ({ amount })),
    net: value('net_amount'),
    gross: value('total_amount'),
    currency,
  });
  const sumsUp = sums.lineItemsSumMatchesTotal === true;
  return { items: sumsUp || confidence >= itemsTrusted ? items : [], sumsUp };
}
