/**
 * Do the numbers of a document agree with each other? Exact arithmetic; a difference equal to the tolerance passes.
 *
 *   lines against their total   half a minor unit for each line
 *   quantity × price            half a minor unit
 *   net + tax against gross     half a minor unit for each tax group, and one more
 */
import { exact, halfMinor, product, sum } from './amounts.ts';

export interface ItemFacts {
  readonly quantity?: number | undefined;
  readonly unitPrice?: number | undefined;
  /** The price is for so many. Default 1. */
  readonly priceBase?: number | undefined;
  /** Charges less allowances of this line, already in `amount`. Default 0. */
  readonly adjustment?: number | undefined;
  readonly amount: number;
}

export interface SumFacts {
  readonly items: readonly ItemFacts[];
  readonly net?: number | undefined;
  readonly tax?: number | undefined;
  readonly gross?: number | undefined;
  readonly charges?: number | undefined;
  readonly allowances?: number | undefined;
  readonly prepaid?: number | undefined;
  readonly due?: number | undefined;
  /** How many rates the tax is made of. Default 1. */
  readonly taxGroups?: number | undefined;
  readonly currency?: string | undefined;
}

export interface Check {
  /** Fields it speaks about. */
  readonly fields: readonly string[];
  readonly passed: boolean;
  /** What goes into `issues` when it failed. */
  readonly issue: string;
}

export interface SumChecks {
  /** Null without lines, or without a total to hold them against. */
  readonly lineItemsSumMatchesTotal: boolean | null;
  readonly checks: readonly Check[];
}

const isNear = (a: bigint, b: bigint, tolerance: bigint): boolean => (a < b ? b - a : a - b) <= tolerance;

export function checkSums(facts: SumFacts): SumChecks {
  const half = halfMinor(facts.currency);
  const lines = checkLines(facts, half);
  const checks = [lines, checkGross(facts, half), checkDue(facts, half), ...checkItems(facts, half)];
  return {
    lineItemsSumMatchesTotal: lines === undefined ? null : lines.passed,
    checks: checks.filter((check) => check !== undefined),
  };
}

/** Net lines make the net total, gross lines the gross total, plus charges and minus allowances of the whole document. */
function checkLines({ items, net, gross, charges = 0, allowances = 0 }: SumFacts, half: bigint): Check | undefined {
  const totals = [net, gross].filter((total) => total !== undefined);
  if (items.length === 0 || totals.length === 0) return undefined;
  const whole = sum(items.map(({ amount }) => amount)) + exact(charges) - exact(allowances);
  const tolerance = half * BigInt(items.length);
  const matched = totals.filter((total) => isNear(whole, exact(total), tolerance));
  const passed = matched.length > 0;
  const fields = !passed ? ['total_amount'] : matched.includes(gross ?? Number.NaN) ? ['total_amount'] : ['net_amount'];
  return { fields, passed, issue: 'line_items_sum_mismatch' };
}

function checkGross({ net, tax, gross, taxGroups = 1 }: SumFacts, half: bigint): Check | undefined {
  if (net === undefined || tax === undefined || gross === undefined) return undefined;
  const passed = isNear(exact(net) + exact(tax), exact(gross), half * BigInt(taxGroups + 1));
  return { fields: ['net_amount', 'tax_amount', 'total_amount'], passed, issue: 'net_plus_tax_mismatch' };
}

function checkDue({ gross, prepaid, due }: SumFacts, half: bigint): Check | undefined {
  if (gross === undefined || prepaid === undefined || due === undefined) return undefined;
  const passed = isNear(exact(gross) - exact(prepaid), exact(due), half);
  return { fields: ['amount_due'], passed, issue: 'amount_due_mismatch' };
}

function checkItems({ items }: SumFacts, half: bigint): Check[] {
  return items.flatMap((item, index) => {
    const { quantity, unitPrice, priceBase = 1, adjustment = 0, amount } = item;
    if (quantity === undefined || unitPrice === undefined || priceBase === 0) return [];
    const whole = product(quantity, unitPrice);
    const readings = [whole / BigInt(Math.max(1, Math.round(priceBase))), whole];
    // Some programs write the quantity as the base of a price that is for one.
    if (readings.some((one) => isNear(one + exact(adjustment), exact(amount), half))) return [];
    return [{ fields: ['line_items'], passed: false, issue: `line_${index + 1}_quantity_times_price_mismatch` }];
  });
}
