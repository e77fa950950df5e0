/**
 * Card, Aadhaar, phone and account numbers in free text. A check digit alone is not enough: grouping, an issuer's
 * prefix with its right length, or a key word shortly before must agree, or timestamps and ids would vanish.
 */
import { isAadhaar, isCard, isLuhn } from './mask-checks.ts';

// Starts only where no letter, digit or hex-like part stands before, so that one run of digits has one start.
const run = /(?<![A-Za-z0-9_.])(?<![A-Za-z0-9_]-)\+?\d(?:[ :-]?\d)+(?![A-Za-z0-9_]|-[A-Za-z])/g;
const keywordReach = 20;
/** Nobody writes one of these numbers in more pieces. */
const mostGroups = 7;
const phoneWord = /\b(?:phone|mobile|mob|tel|telephone|whatsapp|contact|msisdn)\b/i;
const aadhaarWord = /\b(?:aadhaar|aadhar|uidai|uid)\b/i;
const cardWord = /\b(?:card|visa|mastercard|maestro|rupay|amex|debit|credit)\b/i;
const accountWord = /(?:\baccount\b|\ba\/c\b|\bacct\b)/i;
const cardGroups = new Set(['4-4-4-4', '4-6-5', '4-6-4', '4-4-4-4-3', '4-4-4-4-2', '4-4-4-4-1', '4-4-4-1']);

/** Replaces every digit but the last four by `*` in what is recognised; everything else stays as it is. */
export function maskDigitRuns(text: string): string {
  return text.replaceAll(run, (found, offset: number) => {
    const before = text.slice(Math.max(0, offset - keywordReach), offset);
    return maskRun(found, before);
  });
}

interface Group {
  readonly digits: string;
  readonly start: number;
  readonly end: number;
}

/** A run may hold several numbers side by side: windows of whole groups are tried, longest first, at most 19 digits wide. */
function maskRun(found: string, before: string): string {
  const groups: Group[] = [...found.matchAll(/\d+/g)].map((match) => ({
    digits: match[0],
    start: match.index,
    end: match.index + match[0].length,
  }));
  let out = '';
  let from = 0;
  for (let first = 0; first < groups.length; ) {
    const width = widest(groups, first, found, before);
    if (width === 0) {
      first += 1;
      continue;
    }
    const last = groups[first + width - 1];
    const start = groups[first]?.start ?? 0;
    const end = last?.end ?? start;
    out += found.slice(from, start) + hide(found.slice(start, end));
    from = end;
    first += width;
  }
  return out + found.slice(from);
}

/** How many groups from `first` on form a number to hide; 0 = none. */
function widest(groups: readonly Group[], first: number, found: string, before: string): number {
  let best = 0;
  let digits = '';
  const shape: number[] = [];
  for (let width = 1; width <= mostGroups; width += 1) {
    const group = groups[first + width - 1];
    if (group === undefined) break;
    digits += group.digits;
    shape.push(group.digits.length);
    if (digits.length > 19) break;
    if (digits.length < 9) continue;
    const start = groups[first]?.start ?? 0;
    const context = `${before}${found.slice(Math.max(0, start - keywordReach), start)}`.slice(-keywordReach);
    if (isPersonal(digits, shape, context, start > 0 && found[start - 1] === '+')) best = width;
  }
  return best;
}

function isPersonal(digits: string, shape: readonly number[], before: string, plus: boolean): boolean {
  const grouped = shape.length > 1;
  const form = shape.join('-');
  if (isAadhaar(digits) && (form === '4-4-4' || aadhaarWord.test(before))) return true;
  if (isCard(digits) && (!grouped || cardGroups.has(form))) return true;
  if (isLuhn(digits) && (cardGroups.has(form) ? /^[2-6]/.test(digits) : cardWord.test(before))) return true;
  if (plus && digits.length >= 10 && digits.length <= 15) return true;
  if (/^0[6-9]\d{9}$/.test(digits)) return true;
  if (digits.length >= 10 && digits.length <= 15 && phoneWord.test(before)) return !looksLikeTime(digits);
  return !grouped && digits.length <= 18 && accountWord.test(before) && !looksLikeTime(digits);
}

/** YYYYMMDD… and epoch milliseconds of this century's first half. */
function looksLikeTime(digits: string): boolean {
  return /^(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{2,6}$/.test(digits) || /^1[5-9]\d{11}$/.test(digits);
}

function hide(text: string): string {
  let left = text.replaceAll(/\D/g, '').length;
  return text.replaceAll(/\d/g, (digit) => (left-- > 4 ? '*' : digit));
}
