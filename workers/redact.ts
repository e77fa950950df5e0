/** Keeps what a handler read from secret fields out of what is stored and logged about its attempt. */
import { JobError } from '../jobs/errors.ts';

export interface Redact {
  text(text: string): string;
  /** Facts of a log line: plain objects, lists, texts, numbers and errors in them. */
  facts(value: unknown): unknown;
  /** What a handler threw, with the same code and verdict. */
  error(thrown: unknown): unknown;
}

const hidden = '[secret]';
/** Shorter ones are part of too many words. */
const shortest = 4;
const deepest = 8;
const causesKept = 4;

/** `secrets`: the values as the handler sees them; they are also found as JSON, URI and Base64 write them. */
export function redactSecrets(secrets: readonly string[]): Redact {
  const forms = secrets
    .filter((secret) => secret.length >= shortest)
    .flatMap((secret) => [
      secret,
      JSON.stringify(secret).slice(1, -1),
      encodeURIComponent(secret.toWellFormed()),
      Buffer.from(secret).toString('base64'),
      Buffer.from(secret).toString('base64url'),
    ]);
  // Long ones first: a secret may be part of another.
  const looked = [...new Set(forms)].toSorted((a, b) => b.length - a.length);
  const text = (given: string): string => looked.reduce((rest, form) => rest.replaceAll(form, hidden), given);
  const facts = (value: unknown, depth = 0): unknown => {
    if (typeof value === 'string') return text(value);
    if (typeof value === 'number') return text(String(value)) === String(value) ? value : hidden;
    if (typeof value !== 'object' || value === null) return value;
    if (depth === deepest) return '[too deep]';
    if (value instanceof Error) return error(value);
    if (Array.isArray(value)) return value.map((item: unknown) => facts(item, depth + 1));
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [text(key), facts(item, depth + 1)]));
  };
  const error = (thrown: unknown, depth = 0): unknown => {
    if (!(thrown instanceof Error)) return facts(thrown);
    const cause = depth < causesKept ? error(thrown.cause, depth + 1) : undefined;
    const options = cause === undefined ? {} : { cause };
    const safe =
      thrown instanceof JobError
        ? new JobError(thrown.code, text(thrown.message), thrown.verdict, { ...options, effect: thrown.effect })
        : Object.defineProperty(new Error(text(thrown.message), options), 'name', { value: text(thrown.name) });
    if (thrown.stack !== undefined) safe.stack = text(thrown.stack);
    return safe;
  };
  return { text, facts: (value) => facts(value), error: (thrown) => error(thrown) };
}
