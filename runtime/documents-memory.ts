/** Documents in the memory of one process, for tests of handlers (`runJob`): nothing is kept. */

import { readJson, valueAt } from './document-checks.ts';
import {
  type Condition,
  compareScalars,
  type Find,
  kindOf,
  type Scalar,
  type StoredDocument,
  scalarAt,
} from './document-query.ts';
import {
  type Collections,
  createDocuments,
  type Documents,
  mergeCollections,
  pageBytes,
  type Scope,
} from './documents.ts';

interface Kept {
  readonly version: number;
  readonly json: string;
  readonly expiresAt: number;
}

/** `now` is the clock of expiry; default this machine's. */
export function memoryDocuments(declared: Collections | undefined, now: () => number = Date.now): Documents {
  const collections = mergeCollections([declared]);
  const kept = new Map<string, Map<string, Kept>>();
  const of = ({ tenant, collection }: Scope): Map<string, Kept> => {
    const name = `${collection}/${tenant}`;
    const found = kept.get(name) ?? new Map<string, Kept>();
    kept.set(name, found);
    return found;
  };
  const live = (scope: Scope, id: string): Kept | undefined => {
    const found = of(scope).get(id);
    return found !== undefined && found.expiresAt > now() ? found : undefined;
  };
  const write = (scope: Scope, id: string, json: string, ttlMs: number | undefined): void => {
    const version = (live(scope, id)?.version ?? 0) + 1;
    of(scope).set(id, { version, json, expiresAt: ttlMs === undefined ? Number.POSITIVE_INFINITY : now() + ttlMs });
  };
  const read = (id: string, { version, json }: Kept): StoredDocument => ({
    _id: id,
    _version: version,
    ...readJson(json),
  });
  const removeWhere = (scope: Scope, isMeant: (id: string) => boolean): number => {
    const ids = [...of(scope).keys()].filter(isMeant);
    const count = ids.filter((id) => live(scope, id) !== undefined).length;
    for (const id of ids) of(scope).delete(id);
    return count;
  };
  return createDocuments(
    {
      kind: 'memory',
      prepare: async () => undefined,
      async get(scope, id) {
        const found = live(scope, id);
        return found === undefined ? undefined : read(id, found);
      },
      async put(scope, { id, json }, { version, ttlMs }) {
        if (version !== undefined && (live(scope, id)?.version ?? 0) !== version) return false;
        write(scope, id, json, ttlMs);
        return true;
      },
      async putMany(scope, documents, ttlMs) {
        for (const { id, json } of documents) write(scope, id, json, ttlMs);
      },
      async find(scope, find) {
        const all = [...of(scope)].filter(([id]) => live(scope, id) !== undefined).map(([id, one]) => read(id, one));
        const matching = all.filter((document) => find.conditions.every((condition) => holds(document, condition)));
        const rest = matching.toSorted((a, b) => compare(find, a, b)).filter((document) => isBehind(find, document));
        const items: StoredDocument[] = [];
        let bytes = 0;
        for (const document of rest) {
          if (items.length === find.limit || bytes >= pageBytes) break;
          items.push(document);
          bytes += Buffer.byteLength(JSON.stringify(document));
        }
        return { items, hasMore: items.length < rest.length };
      },
      remove: async (scope, ids) => removeWhere(scope, (id) => ids.includes(id)),
      removePrefix: async (scope, prefix) => removeWhere(scope, (id) => id.startsWith(prefix)),
      tenants: async (collection) =>
        [...kept].flatMap(([name, all]) => {
          const tenant = name.slice(collection.length + 1);
          const isHeld = name.startsWith(`${collection}/`) && [...all.values()].some((one) => one.expiresAt > now());
          return isHeld ? [tenant] : [];
        }),
      async sweep() {
        let swept = 0;
        for (const one of kept.values())
          for (const [id, { expiresAt }] of one) if (expiresAt <= now() && one.delete(id)) swept += 1;
        return swept;
      },
      close: async () => undefined,
    },
    collections,
  );
}

function holds(document: StoredDocument, { path, in: values, bounds }: Condition): boolean {
  const scalar = scalarAt(document, path);
  if (scalar === null && (valueAt(document, path) ?? null) !== null) return false;
  if (values !== undefined && !values.includes(scalar)) return false;
  return bounds.every(({ op, value: bound }) => {
    if (kindOf(scalar) !== kindOf(bound)) return false;
    const order = compareScalars(scalar, bound);
    return (order === 0 && (op === 'gte' || op === 'lte')) || (op.startsWith('g') ? order > 0 : order < 0);
  });
}

function compareTo({ order, descending }: Find, a: StoredDocument, values: readonly Scalar[], id: string): number {
  const way = descending ? -1 : 1;
  for (const [at, path] of order.entries()) {
    const byField = compareScalars(scalarAt(a, path), values[at] ?? null);
    if (byField !== 0) return byField * way;
  }
  return compareScalars(a._id, id) * way;
}

function compare(find: Find, a: StoredDocument, b: StoredDocument): number {
  const values = find.order.map((path) => scalarAt(b, path));
  return compareTo(find, a, values, b._id);
}

function isBehind(find: Find, document: StoredDocument): boolean {
  return find.after === undefined || compareTo(find, document, find.after.values, find.after.id) > 0;
}
