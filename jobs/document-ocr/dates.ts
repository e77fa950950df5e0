/** Dates as documents of many countries print them. */

export interface FoundDate {
  /** `2018-12-31`. */
  readonly iso: string;
  /** Day and month could change places, and nothing said which is which; day first was taken. */
  readonly isAmbiguous: boolean;
  /** The text that was read as the date. */
  readonly raw: string;
}

const months: Readonly<Record<string, number>> = Object.fromEntries(
  [
    'january jan januar januari janvier enero gennaio janeiro stycznia styczeń jänner',
    'february feb februar februari février fevrier febrero febbraio fevereiro lutego luty fév',
    'march mar märz maerz maart mars marzo março marca marzec mrt mär',
    'april apr avril abril aprile kwietnia kwiecień avr',
    'may mai mei mayo maggio maio maja maj',
    'june jun juni juin junio giugno junho czerwca czerwiec',
    'july jul juli juillet julio luglio julho lipca lipiec',
    'august aug augustus août aout agosto sierpnia sierpień',
    'september sep sept septembre septiembre settembre setembro września wrzesień',
    'october oct oktober okt octobre octubre ottobre outubro października październik',
    'november nov novembre noviembre novembro listopada listopad',
    'december dec dezember dez décembre decembre diciembre dicembre dezembro grudnia grudzień',
  ].flatMap((names, index) => names.split(' ').map((name) => [name, index + 1])),
);

const numeric = /(?<![\d.,/-])(\d{1,4})([/.-])(\d{1,2})\2(\d{2,4})(?![\d]|[.,/-]\d)/u;
const compact = /(?<!\d)((?:19|20)\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?!\d)/u;
const named = /(?<![\d\p{L}])(\d{1,2})(?:st|nd|rd|th)?[.\s/-]{1,2}(\p{L}{3,12})\.?[,.\s/-]{1,2}(\d{4}|\d{2})(?!\d)/u;
const monthFirst = /(?<!\p{L})(\p{L}{3,12})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})(?!\d)/u;

const earliestYear = 1990;

/** `dayFirst`: what is known of the issuer; undefined = nothing. Dates that do not exist, and years out of reason, are none. */
export function parseDate(text: string, dayFirst?: boolean): FoundDate | undefined {
  return byName(text) ?? byNumbers(text, dayFirst) ?? byDigits(text);
}

function byName(text: string): FoundDate | undefined {
  const a = named.exec(text);
  if (a !== null) {
    const found = make(a[0], yearOf(a[3] ?? ''), months[(a[2] ?? '').toLowerCase()], Number(a[1]));
    if (found !== undefined) return found;
  }
  const b = monthFirst.exec(text);
  return b === null ? undefined : make(b[0], yearOf(b[3] ?? ''), months[(b[1] ?? '').toLowerCase()], Number(b[2]));
}

function byNumbers(text: string, dayFirst: boolean | undefined): FoundDate | undefined {
  const [raw, a = '', sign, b = '', c = ''] = numeric.exec(text) ?? [];
  if (raw === undefined) return undefined;
  if (a.length === 4) return c.length > 2 ? undefined : make(raw, Number(a), Number(b), Number(c));
  if (a.length > 2 || c.length === 3) return undefined;
  const year = yearOf(c);
  const [first, second] = [Number(a), Number(b)];
  const asDay = make(raw, year, second, first);
  const asMonth = make(raw, year, first, second);
  if (asDay === undefined || asMonth === undefined || first === second) return asDay ?? asMonth;
  if (dayFirst !== undefined) return dayFirst ? asDay : asMonth;
  // Points are written where the day comes first.
  return { ...asDay, isAmbiguous: sign !== '.' };
}

function byDigits(text: string): FoundDate | undefined {
  const [raw, year, month, day] = compact.exec(text) ?? [];
  return raw === undefined ? undefined : make(raw, Number(year), Number(month), Number(day));
}

function yearOf(text: string): number {
  return text.length === 2 ? 2_000 + Number(text) : Number(text);
}

function make(raw: string, year: number, month: number | undefined, day: number): FoundDate | undefined {
  if (month === undefined || year < earliestYear || year > new Date().getUTCFullYear() + 2) return undefined;
  const date = new Date(Date.UTC(year, month - 1, day));
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  return { iso: date.toISOString().slice(0, 10), isAmbiguous: false, raw };
}

/**
 * Whether the issuer writes the day first: by a date of the page that can be read in one way only, else by what names
 * a country. Undefined when nothing says so.
 */
export function dayFirstOf(text: string, currency: string | undefined): boolean | undefined {
  for (const match of text.matchAll(new RegExp(numeric, 'gu'))) {
    const [, a = '', , b = '', c = ''] = match;
    if (a.length > 2 || c.length === 3) continue;
    if (Number(a) > 12 && Number(b) <= 12) return true;
    if (Number(b) > 12 && Number(a) <= 12) return false;
  }
  if (
    /\bGSTIN\b|\b(?:Malaysia|Selangor|Kuala Lumpur|Johor|Nederland|Deutschland|India|Singapore|United Kingdom)\b|\bS[DO]N\.? BHD\b|\bB\.V\.|\bGmbH\b/i.test(
      text,
    )
  )
    return true;
  if (currency !== undefined && currency !== 'USD') return true;
  return /\b(?:United States|USA|[A-Z]{2} \d{5}(?:-\d{4})?)\b/.test(text) ? false : undefined;
}
