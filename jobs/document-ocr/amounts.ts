/**
 * Amounts as invoices of many countries print them, and exact arithmetic on them. Sums are made of integers (10⁻⁸ of
 * the major unit), never of floating point numbers.
 */

export interface Amount {
  /** Major units: 1005.55. */
  readonly value: number;
  /** Which sign separates the decimals; undefined when the amount does not say. */
  readonly decimal: '.' | ',' | undefined;
  /** `1.234` may be a thousand and more or a little over one. `value` is the first reading. */
  readonly isAmbiguous: boolean;
}

const currencies: readonly (readonly [RegExp, string])[] = [
  [/€|\bEUR\b|\beuros?\b/iu, 'EUR'],
  [/₹|\bINR\b|\bRs\.?(?=[\s\d]|$)/iu, 'INR'],
  [/\bRM(?=[\s\d)]|$)|\bMYR\b/u, 'MYR'],
  [/£|\bGBP\b/iu, 'GBP'],
  [/\bzł|\bPLN\b/iu, 'PLN'],
  [/\bCHF\b/u, 'CHF'],
  [/\bSGD\b|S\$/u, 'SGD'],
  [/\bAUD\b|A\$/u, 'AUD'],
  [/\bUSD\b|US\$/u, 'USD'],
  [/¥|\bJPY\b/u, 'JPY'],
];

/** ISO code of the first currency a text names; a bare `$` only when nothing else does. */
export function currencyOf(text: string): string | undefined {
  let first: { readonly at: number; readonly code: string } | undefined;
  for (const [pattern, code] of currencies) {
    const at = pattern.exec(text)?.index;
    if (at !== undefined && (first === undefined || at < first.at)) first = { at, code };
  }
  return first?.code ?? (text.includes('$') ? 'USD' : undefined);
}

const around = /€|₹|£|¥|\$|zł|\b(?:EUR|INR|MYR|GBP|PLN|CHF|SGD|AUD|USD|JPY|RM|Rs)\b\.?|\b(?:RM|Rs\.?)(?=\d)/giu;

/** Undefined for what is no amount. `(1.00)`, `1.00-` and `-1.00` are negative. */
export function parseAmount(text: string): Amount | undefined {
  const bare = text.replaceAll(around, '').trim();
  const isNegative = /^\(.*\)$/.test(bare) || /^[-−–]/.test(bare) || /[-−–]$/.test(bare);
  const digits = bare.replaceAll(/^[(\-−–+]\s*|[)\-−–]$/g, '').trim();
  if (digits.length > 24 || !/^\d(?:[\d.,'’\u00a0\u202f ]*\d)?$/.test(digits)) return undefined;
  const read = readDigits(digits);
  if (read === undefined) return undefined;
  return { ...read, value: isNegative ? -read.value : read.value };
}

function readDigits(digits: string): Amount | undefined {
  const compact = digits.replaceAll(/(?<=\d)['’\u00a0\u202f ](?=\d{3})/g, '');
  if (/[^\d.,]/.test(compact)) return undefined;
  const [points, commas] = [count(compact, '.'), count(compact, ',')];
  const last = compact.lastIndexOf('.') > compact.lastIndexOf(',') ? '.' : ',';
  if (points === 0 && commas === 0) return plain(compact, undefined);
  if (points > 0 && commas > 0) return grouped(compact, last);
  const after = compact.length - 1 - compact.lastIndexOf(last);
  const isOnce = points + commas === 1;
  if (!isOnce) return after === 3 ? plain(compact.replaceAll(/[.,]/g, ''), undefined) : undefined;
  if (after !== 3 || compact.startsWith('0')) return plain(compact.replace(last, '.'), last);
  // Three digits behind one sign: thousands, though a point may also be a decimal point.
  return { value: Number(compact.replace(last, '')), decimal: undefined, isAmbiguous: last === '.' };
}

const count = (text: string, sign: string): number => text.split(sign).length - 1;
const plain = (text: string, decimal: Amount['decimal']): Amount => ({
  value: Number(text),
  decimal,
  isAmbiguous: false,
});

/** Both signs: the last one separates the decimals and stands once; the groups before it have three digits (two in India). */
function grouped(text: string, decimal: '.' | ','): Amount | undefined {
  const group = decimal === '.' ? ',' : '.';
  const [whole, cents] = [text.slice(0, text.lastIndexOf(decimal)), text.slice(text.lastIndexOf(decimal) + 1)];
  if (whole.includes(decimal) || !new RegExp(`^\\d{1,3}(?:\\${group}\\d{2,3})*\\${group}\\d{3}$`).test(whole))
    return undefined;
  return plain(`${whole.replaceAll(group, '')}.${cents}`, decimal);
}

/** The other reading of an ambiguous amount when the rest of the page writes decimals with a point. */
export function settle(amount: Amount, others: readonly Amount[]): Amount {
  if (!amount.isAmbiguous) return amount;
  const styles = new Set(others.flatMap(({ decimal }) => (decimal === undefined ? [] : [decimal])));
  if (styles.size !== 1) return amount;
  return styles.has(',')
    ? { ...amount, isAmbiguous: false }
    : { value: amount.value / 1_000, decimal: '.', isAmbiguous: false };
}

const scale = 100_000_000n;
const places = 8;

/** A number, exactly as it prints, in units of 10⁻⁸. */
export function exact(value: number): bigint {
  const [, sign = '', whole = '0', cents = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(value.toFixed(places)) ?? [];
  const units = BigInt(whole) * scale + BigInt(cents.padEnd(places, '0'));
  return sign === '-' ? -units : units;
}

/** Back to major units, rounded to the eighth place. */
export function inexact(units: bigint): number {
  const size = units < 0n ? -units : units;
  const text = `${size / scale}.${(size % scale).toString().padStart(places, '0')}`;
  return Number(units < 0n ? `-${text}` : text);
}

export const product = (a: number, b: number): bigint => (exact(a) * exact(b)) / scale;
export const sum = (values: readonly number[]): bigint => values.reduce((all, value) => all + exact(value), 0n);

const withoutMinor = new Set(['JPY', 'KRW', 'VND', 'CLP', 'ISK']);
const withThree = new Set(['KWD', 'BHD', 'OMR', 'JOD', 'TND']);

/** Half of the smallest unit of a currency, in units of 10⁻⁸. */
export function halfMinor(currency: string | undefined): bigint {
  if (currency !== undefined && withoutMinor.has(currency)) return scale / 2n;
  return currency !== undefined && withThree.has(currency) ? scale / 2_000n : scale / 200n;
}
