/**
 * Takes personal data and secrets out of values and texts before they reach a log, an error, the board or an answer.
 * By key name where there is one, else by form plus check digit plus context: a check digit alone would destroy
 * timestamps and job ids (one in ten epoch-millisecond values passes Luhn). Every pattern is linear in its input.
 */

import { isGstin, isIban, isPan } from './mask-checks.ts';
import { maskDigitRuns } from './mask-digits.ts';

const redacted = '[redacted]';
/** Longer texts are cut: nobody reads them in a log, and a scan must have an end. */
const textLimit = 65_536;
const depthLimit = 40;

const secretWords = new Set(
  'authorization cookie cookies cvc cvv otp passphrase passwd password passwords pwd secret secrets token tokens'.split(
    ' ',
  ),
);
const secretPairs = new Set([
  'api key',
  'api keys',
  'access key',
  'private key',
  'secret key',
  'signing key',
  'encryption key',
]);
const numberWords = new Set(
  'aadhaar aadhar card creditcard gstin iban ifsc mobile msisdn pan phone telephone whatsapp bankaccount'.split(' '),
);
const numberPairs = new Set([
  'account number',
  'account no',
  'bank account',
  'card number',
  'credit card',
  'phone number',
]);

/** `bankAccount`, `bank_account` and `x-bank-account` are the same words. */
function wordsOf(key: string): string[] {
  return key
    .slice(0, 128)
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '');
}

type KeyKind = 'secret' | 'number' | 'email' | 'plain';

function kindOf(key: string): KeyKind {
  const words = wordsOf(key);
  const pairs = words.slice(1).map((word, index) => `${words[index]} ${word}`);
  if (words.some((word) => secretWords.has(word)) || pairs.some((pair) => secretPairs.has(pair))) return 'secret';
  // A PIN is a secret, a PIN code is an Indian post code.
  if (words.includes('apikey') || (words.at(-1) === 'pin' && words.length <= 2)) return 'secret';
  if (words.some((word) => numberWords.has(word)) || pairs.some((pair) => numberPairs.has(pair))) return 'number';
  if (words.includes('email')) return 'email';
  return 'plain';
}

/** Job data repeats its keys; the cache is bounded because keys can be a producer's. */
const kinds = new Map<string, KeyKind>();
function keyKind(key: string): KeyKind {
  const known = kinds.get(key);
  if (known !== undefined) return known;
  if (kinds.size >= 2_048) kinds.clear();
  const kind = kindOf(key);
  kinds.set(key, kind);
  return kind;
}

/** All letters and digits but the last four become `*`; separators stay. Four or fewer are hidden whole. */
export function keepLastFour(text: string): string {
  let left = text.replaceAll(/[^\p{L}\p{N}]/gu, '').length;
  const shown = left > 4 ? 4 : 0;
  return text.replaceAll(/[\p{L}\p{N}]/gu, (character) => (left-- > shown ? '*' : character));
}

/**
 * A copy of `value` fit for a log or the board: plain JSON-like data. Never throws; cycles, depth over 40, buffers and
 * functions become short notes. Costs one walk; the input is not touched.
 */
export function mask(value: unknown): unknown {
  return walk(value, [], 'plain');
}

/** The same for one field whose name is known. */
export function maskField(name: string, value: unknown): unknown {
  return walk(value, [], keyKind(name));
}

function walk(value: unknown, path: readonly object[], kind: KeyKind): unknown {
  if (value === null || value === undefined || typeof value === 'boolean') return value;
  if (kind === 'secret') return redacted;
  if (typeof value === 'string') return kind === 'number' ? keepLastFour(value.slice(0, 256)) : maskText(value);
  if (typeof value === 'object') return walkObject(value, path, kind);
  if (typeof value !== 'number' && typeof value !== 'bigint') return `[${typeof value}]`;
  const plain = typeof value === 'bigint' ? String(value) : value;
  if (kind !== 'number' && value < 100_000_000) return plain;
  const text = String(value);
  const masked = kind === 'number' ? keepLastFour(text) : maskText(text);
  return masked === text ? plain : masked;
}

function walkObject(value: object, path: readonly object[], kind: KeyKind): unknown {
  if (path.includes(value)) return '[circular]';
  if (path.length >= depthLimit) return '[too deep]';
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  // A secret field as it is stored: nobody can read it, and nobody is shown it.
  if ('$enc' in value && typeof value.$enc === 'string') return redacted;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? '[invalid date]' : value.toISOString();
  if (value instanceof URL) return maskText(value.href);
  const inside = [...path, value];
  if (value instanceof Error) return errorFacts(value, inside);
  if (Array.isArray(value) || value instanceof Set) return [...value].map((item) => walk(item, inside, kind));
  if (!(value instanceof Map) && !isPlain(value)) return walkInstance(value, inside, kind);
  const entries: [string, unknown][] =
    value instanceof Map ? [...value].map(([key, item]) => [String(key), item]) : Object.entries(value);
  // fromEntries defines own properties: a key "__proto__" stays a key.
  return Object.fromEntries(
    entries.map(([key, item]) => {
      const own = keyKind(key);
      return [maskText(key), walk(item, inside, own === 'plain' ? kind : own)];
    }),
  );
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** A socket, a queue, a request: its fields are not data, and there may be megabytes of them. */
function walkInstance(value: object, path: readonly object[], kind: KeyKind): unknown {
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    try {
      const json: unknown = value.toJSON();
      if (json !== value) return walk(json, path, kind);
    } catch {
      return '[unreadable]';
    }
  }
  return `[${value.constructor.name}]`;
}

function errorFacts(error: Error, path: readonly object[]): Record<string, unknown> {
  const own = walk(Object.fromEntries(Object.entries(error)), path, 'plain');
  return {
    type: error.name,
    message: maskText(error.message),
    ...(error.stack === undefined ? {} : { stack: maskText(error.stack) }),
    ...(typeof own === 'object' ? own : {}),
    ...(error.cause === undefined ? {} : { cause: walk(error.cause, path, 'plain') }),
  };
}

const edge = '[A-Za-z0-9_]';
const gstin = new RegExp(`(?<!${edge})[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][0-9A-Z]Z[0-9A-Z](?!${edge})`, 'gi');
const pan = new RegExp(`(?<!${edge})[A-Z]{5}[0-9]{4}[A-Z](?!${edge})`, 'gi');
const iban = new RegExp(`(?<!${edge})[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!${edge})`, 'g');
/** Forms that invoices and orders are numbered by, too: only behind a word that tells. */
const ifsc = new RegExp(`(?<!${edge})[A-Z]{4}0[A-Z0-9]{6}(?!${edge})`, 'g');
const ifscWord = /\b(?:ifsc|bank|branch|neft|rtgs|imps)\b/i;
const wordReach = 20;
const jwt = /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?/g;
const bearer = /\b(Bearer|Basic)\s{1,4}[A-Za-z0-9._~+/=-]{6,}/gi;
const ownKey = /(?<![A-Za-z0-9_])jf_[a-z]+_[A-Za-z0-9]{8,64}_[A-Za-z0-9]{16,128}/g;
const urlPassword = /(:\/\/[^\s/?#:@]{0,256}):[^\s/?#]{1,512}@/g;
const urlToken =
  /([?&;](?:access_token|api[_-]?key|auth|code|key|password|secret|sig|signature|token|x-amz-(?:credential|security-token|signature))=)[^&#\s"'<>]+/gi;
const signedLink = /(\/v1\/objects\/)[^\s/"'?#]+/g;
const named =
  /\b(password|passwd|passphrase|pwd|secret|token|api[_-]?key|authorization|cookie|otp|cvv|cvc)(\\?["']?\s{0,3}[:=]\s{0,3})(?:(?:Bearer|Basic) )?(?:\\?["'][^"'\\\n]{1,512}|[^\s"'&,;\\]{1,512})/gi;

/** The same for a text: what stands in it is found by form, check digit and the words before it. At most 64 KB, the rest is cut. */
export function maskText(input: string): string {
  const text = input.length > textLimit ? `${input.slice(0, textLimit)}… [cut]` : input;
  // Most texts hold none of the marks a pattern needs; looking for the marks first is ten times faster.
  const numbered = numberMark.test(text) ? maskNumbers(text) : text;
  const credentials = credentialMark.test(numbered) ? maskCredentials(numbered) : numbered;
  return credentials.includes('@') ? maskEmails(credentials) : credentials;
}

const numberMark = /[0-9](?:[ :-]?[0-9]){3}|[A-Z]{4}0/;
const credentialMark = /[=:]|eyJ|jf_|bearer|basic|\/v1\/objects\//i;

function maskNumbers(text: string): string {
  return maskDigitRuns(
    text
      .replaceAll(gstin, (found) => (isGstin(found) ? keepLastFour(found) : found))
      .replaceAll(pan, (found) => (isPan(found) ? keepLastFour(found) : found))
      .replaceAll(iban, maskIban)
      .replaceAll(ifsc, (found, at: number, whole: string) =>
        ifscWord.test(whole.slice(Math.max(0, at - wordReach), at)) ? keepLastFour(found) : found,
      ),
  );
}

function maskCredentials(text: string): string {
  return text
    .replaceAll(urlPassword, `$1:${redacted}@`)
    .replaceAll(urlToken, `$1${redacted}`)
    .replaceAll(signedLink, '$1[signed]')
    .replaceAll(bearer, `$1 ${redacted}`)
    .replaceAll(named, (found, name: string, joint: string) =>
      found.includes(redacted) ? found : `${name}${joint}${redacted}`,
    )
    .replaceAll(jwt, redacted)
    .replaceAll(ownKey, redacted);
}

/** The pattern is greedy over groups of four, so a word in capitals after the number may be in it: shorten until the check holds. */
function maskIban(found: string): string {
  for (let end = found.length; end >= 15; end -= 1) {
    const next = found[end];
    if (next !== undefined && next !== ' ') continue;
    const candidate = found.slice(0, end);
    if (isIban(candidate)) return keepLastFour(candidate) + found.slice(end);
  }
  return found;
}

const localEnd = /[\s<>()[\],;:"'\\|@=/?&#{}]/;
const domainAfter = /^(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.){1,8}[\p{L}-]{2,24}/u;

/** Walks from one `@` to the next and looks at most 64 characters back and 256 ahead. */
function maskEmails(text: string): string {
  let out = '';
  let from = 0;
  for (let at = text.indexOf('@'); at !== -1; at = text.indexOf('@', at + 1)) {
    if (!domainAfter.test(text.slice(at + 1, at + 257))) continue;
    let start = at;
    if (text[at - 1] === '"') {
      const open = text.lastIndexOf('"', at - 2);
      if (open >= Math.max(from, at - 66)) start = open;
    } else {
      while (start > from && at - start < 64 && !localEnd.test(text[start - 1] ?? ' ')) start -= 1;
    }
    if (start === at || start < from) continue;
    out += `${text.slice(from, start)}${text[start] === '"' ? '' : text.slice(start, start + 1)}***`;
    from = at;
  }
  return out + text.slice(from);
}
