/**
 * What an e-mail may carry. Everything here is closed: one address, known templates, typed variables. Light: zod alone.
 */
import { z } from 'zod';

// Refused in every text: control characters, line and paragraph separators, lone surrogates and the marks that reverse
// the reading direction. What is left can neither end a header line nor disguise an address.
const forbidden = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u202A-\u202E\u2066-\u2069]/u;
const text = (max: number) =>
  z
    .string()
    .max(max)
    .refine((value) => !forbidden.test(value), 'expected one line of text without control characters')
    .trim()
    .min(1);

/** One address, ASCII, dot-atom, as RFC 5321 bounds it; no quoting, no routing marks (% ! |), no address literal. */
export const mailbox =
  /^(?=.{3,254}$)(?=[^@]{1,64}@)[\w#$&'*+/=?^{}~-]+(?:\.[\w#$&'*+/=?^{}~-]+)*@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]$/;
const oneAddress = 'expected one address such as ada@example.com (an international domain as xn--…)';

const isLocale = (value: string) => {
  try {
    return Intl.getCanonicalLocales(value).length === 1;
  } catch {
    return false; // Intl throws for what is no language tag; that is the answer.
  }
};

const link = z
  .url({ protocol: /^https$/, normalize: true, error: 'expected an https:// address' })
  .max(2_048)
  .refine((value) => !/[\s@]/.test(value), 'expected an address without spaces and without a user name');

/** Fields every template has. */
export const mail = {
  to: z.email({ pattern: mailbox, error: oneAddress }).max(254),
  locale: z.string().min(2).max(35).refine(isLocale, 'expected a language tag such as en or hi-IN').default('en'),
};

/** Whole numbers of the currency's smallest unit: 1999 EUR is 19.99 €. */
const amount = z.int().min(-1e12).max(1e12);
const item = z.strictObject({ description: text(200), quantity: z.int().min(1).max(1e6).default(1), amount });

const instant = z.iso.datetime({ offset: true });

export const exported = z.strictObject({
  collection: text(48),
  format: z.enum(['csv', 'xlsx', 'json', 'jsonl', 'pdf']),
  rows: z.int().min(0),
  /** The job, under which the file can be asked for until `keptUntil`. */
  job: text(100),
  keptUntil: instant,
  link: link.optional(),
  linkUntil: instant.optional(),
});
/** Lines of a name and a value, such as the figures of a day. */
export const report = z.strictObject({
  title: text(100),
  rows: z
    .array(z.strictObject({ label: text(100), value: text(200) }))
    .min(1)
    .max(200),
  link: link.optional(),
});
export const welcome = z.strictObject({ name: text(100).optional(), link: link.optional() });
export const receipt = z.strictObject({
  name: text(100).optional(),
  number: text(60),
  currency: z.string().regex(/^[A-Z]{3}$/, 'expected an ISO 4217 code such as EUR'),
  items: z.array(item).min(1).max(100),
  total: amount,
  link: link.optional(),
});
