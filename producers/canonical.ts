/** One text for one JSON value: keys sorted. What is hashed or compared goes through here, because not every store keeps the order of keys. */
import { createHash } from 'node:crypto';

/** Throws on what JSON cannot hold (cycles, bigint). Undefined fields are left out, as JSON.stringify does. */
function canonicalJson(value: unknown): string {
  return (
    JSON.stringify(value, (_key, item: unknown) =>
      typeof item === 'object' && item !== null && !Array.isArray(item)
        ? Object.fromEntries(Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1)))
        : item,
    ) ?? 'null'
  );
}

/** SHA-256 of the canonical text, hex. */
export function fingerprint(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}
