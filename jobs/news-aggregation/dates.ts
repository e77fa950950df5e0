/**
 * Reads the dates of feeds: RFC 822 and 2822 with their comments, two-digit years and zone names, RFC 3339 and its W3C
 * profile, HTTP dates, month names of seven languages. Answers an instant or nothing. `Date.parse` is not asked: it rolls
 * 31 June into July, does not know BST, IST or MEST, and takes a time without an offset for local time.
 */
import { monthOf, weekdaysOf } from './date-words.ts';
import { offsetOf } from './zones.ts';

/**
 * How far a date can be trusted. `exact`: as written. `zone-assumed`: no zone or an unknown one, taken as UTC.
 * `weekday-wrong`: the weekday contradicts the date, which counts. The others stand for no date at all: `missing`,
 * `unreadable`, `impossible` (31 June, 25 o'clock), `future` (more than a day ahead).
 */
export const dateQualities = [
  'exact',
  'zone-assumed',
  'weekday-wrong',
  'missing',
  'unreadable',
  'impossible',
  'future',
] as const;
export type DateQuality = (typeof dateQualities)[number];

export interface ReadDate {
  /** RFC 3339 in UTC; undefined where there is none. */
  readonly instant: string | undefined;
  readonly quality: Exclude<DateQuality, 'future'>;
}

const maxLength = 200;
const time = String.raw`(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,]\d+)?)?`;
const zone = String.raw`(?:\s*([a-z]{1,5}\s*[+-]\d{1,2}:?\d{0,2}|[+-]\d{1,2}:?\d{0,2}|[a-z]+(?:\s[a-z]+)?))?`;
const word = String.raw`([\p{L}.]+)`;
/** 2006-02-09T23:59:45Z, with a blank for the T, without seconds, offset or time. */
const numeric = new RegExp(String.raw`^(\d{4})-(\d{1,2})-(\d{1,2})(?:[t\s]\s*${time}${zone})?$`, 'iu');
/** Thu, 09 Feb 2006 23:59:45 +0000; also 09-Feb-06 and "9 de febrero de 2006". */
const dayFirst = new RegExp(
  String.raw`^(?:${word}\s*,?\s*)?(\d{1,2})\.?[\s-]+(?:de\s+)?${word}[\s-]+(?:de\s+)?(\d{2,4}),?(?:\s+${time}${zone})?$`,
  'iu',
);
/** Feb 9, 2006 23:59:45 +0000. */
const monthFirst = new RegExp(
  String.raw`^(?:${word}\s*,?\s+)??${word}\s+(\d{1,2}),?\s+(\d{4}),?(?:\s+${time}${zone})?$`,
  'iu',
);
/** Thu Feb  9 23:59:45 2006, as C writes it. */
const yearLast = new RegExp(String.raw`^${word}\s+${word}\s+(\d{1,2})\s+${time}\s+(\d{4})$`, 'iu');

/** Never throws. Years of two digits: 00–49 is 20xx, 50–99 is 19xx (RFC 2822 §4.3). */
export function readDate(written: string | undefined): ReadDate {
  const text = stripComments(written ?? '')
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/\s+,/g, ',')
    .trim();
  if (text === '') return { instant: undefined, quality: 'missing' };
  const parts = text.length > maxLength ? undefined : split(text);
  if (parts === undefined) return { instant: undefined, quality: 'unreadable' };
  return assemble(parts);
}

interface Parts {
  readonly weekday?: string | undefined;
  readonly year: number;
  /** 1–12; undefined when the word is no month. */
  readonly month: number | undefined;
  readonly day: number;
  readonly hour?: string | undefined;
  readonly minute?: string | undefined;
  readonly second?: string | undefined;
  readonly zone?: string | undefined;
}

function split(text: string): Parts | undefined {
  const iso = numeric.exec(text);
  if (iso !== null) {
    const [, year, month, day, hour, minute, second, zoneName] = iso;
    return { year: Number(year), month: Number(month), day: Number(day), hour, minute, second, zone: zoneName };
  }
  const mail = dayFirst.exec(text);
  if (mail !== null) {
    const [, weekday, day, month = '', year = '', hour, minute, second, zoneName] = mail;
    return {
      weekday,
      year: fullYear(year),
      month: monthOf(month),
      day: Number(day),
      hour,
      minute,
      second,
      zone: zoneName,
    };
  }
  const american = monthFirst.exec(text);
  if (american !== null) {
    const [, weekday, month = '', day, year, hour, minute, second, zoneName] = american;
    return {
      weekday,
      year: Number(year),
      month: monthOf(month),
      day: Number(day),
      hour,
      minute,
      second,
      zone: zoneName,
    };
  }
  const c = yearLast.exec(text);
  if (c === null) return undefined;
  const [, weekday, month = '', day, hour, minute, second, year] = c;
  return { weekday, year: Number(year), month: monthOf(month), day: Number(day), hour, minute, second };
}

function assemble(parts: Parts): ReadDate {
  const { year, month, day } = parts;
  if (month === undefined) return { instant: undefined, quality: 'unreadable' };
  const [hour, minute, second] = [Number(parts.hour ?? 0), Number(parts.minute ?? 0), Number(parts.second ?? 0)];
  const date = utc(year, month, day);
  const isReal = year > 0 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  // A leap second is the first moment of the next minute.
  if (!isReal || hour > 23 || minute > 59 || second > 60) return { instant: undefined, quality: 'impossible' };
  const offset = offsetOf(parts.zone);
  if (offset === undefined) return { instant: undefined, quality: 'impossible' };
  const ms = date.getTime() + ((hour * 60 + minute - offset.minutes) * 60 + second) * 1_000;
  const instant = `${new Date(ms).toISOString().slice(0, -5)}Z`;
  const days = parts.weekday === undefined ? [] : weekdaysOf(parts.weekday);
  if (days.length > 0 && !days.includes(date.getUTCDay())) return { instant, quality: 'weekday-wrong' };
  return { instant, quality: offset.isKnown ? 'exact' : 'zone-assumed' };
}

/** `Date.UTC` takes years below 100 for 19xx. */
function utc(year: number, month: number, day: number): Date {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date;
}

function fullYear(digits: string): number {
  const year = Number(digits);
  if (digits.length > 3) return year;
  // RFC 2822: three digits count from 1900, a fault of programs of the year 2000.
  if (digits.length === 3) return 1_900 + year;
  return year < 50 ? 2_000 + year : 1_900 + year;
}

/** RFC 822 comments nest and may escape their parentheses; one that does not end takes the rest. */
function stripComments(text: string): string {
  if (!text.includes('(')) return text;
  let depth = 0;
  let kept = '';
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === '\\' && depth > 0) at += 1;
    else if (char === '(') depth += 1;
    else if (char === ')' && depth > 0) {
      depth -= 1;
      kept += ' ';
    } else if (depth === 0) kept += char;
  }
  return kept;
}
