/**
 * The board shows payloads masked, and its editor starts from what it shows. Without care an edit would write the
 * asterisks back. Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import { mask } from '../runtime/mask.ts';

/** The edited payload with every masked value that was left as shown replaced by the real one. */
export function restoreMasked(edited: unknown, original: unknown): unknown {
  return restore(edited, original, mask(original));
}

function restore(edited: unknown, original: unknown, shown: unknown): unknown {
  if (isDeepStrictEqual(edited, shown)) return original;
  if (Array.isArray(edited)) {
    const [originals, shownOnes] = [listOf(original), listOf(shown)];
    return edited.map((value, index) => restore(value, originals[index], shownOnes[index]));
  }
  if (!isRecord(edited)) return edited;
  const [from, seen] = [isRecord(original) ? original : {}, isRecord(shown) ? shown : {}];
  return Object.fromEntries(
    Object.entries(edited).map(([key, value]) => [
      key,
      Object.hasOwn(seen, key) ? restore(value, from[key], seen[key]) : value,
    ]),
  );
}

/** Where masked text still stands, such as `variables.name`; undefined when nowhere. */
export function maskedPath(value: unknown, path: readonly string[] = []): string | undefined {
  if (typeof value === 'string') return /\*{3}|\[redacted\]/.test(value) ? path.join('.') || 'data' : undefined;
  const entries = Array.isArray(value) ? value.entries() : isRecord(value) ? Object.entries(value) : [];
  for (const [key, one] of entries) {
    const found = maskedPath(one, [...path, String(key)]);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
