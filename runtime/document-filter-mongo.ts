/** Conditions as MongoDB filters that mean the same as everywhere: no list is ever looked into. Pure. */
import type { Condition, Find, Scalar } from './document-query.ts';

export type MongoFilter = Readonly<Record<string, unknown>>;

const nothing: MongoFilter = { _id: { $in: [] } };
const isList = { $type: 'array' };
/** Of each kind: what is at least its smallest value. Comparisons stay within a kind. */
const anyNumber = { $gte: Number.NEGATIVE_INFINITY };
const anyText = { $gte: '' };
const anyBoolean = { $gte: false };

/** `d` and the ways into it: `d.a` and `d.a.b` for the path a, b. */
function waysOf(path: readonly string[]): { readonly field: string; readonly above: readonly string[] } {
  const above = path.slice(1).map((_, at) => ['d', ...path.slice(0, at + 1)].join('.'));
  return { field: ['d', ...path].join('.'), above };
}

function isNull(path: readonly string[]): MongoFilter {
  const { field, above } = waysOf(path);
  return {
    $or: [...above.map((way) => ({ [way]: isList })), { $and: [{ [field]: null }, { [field]: { $not: isList } }] }],
  };
}

function isScalar(path: readonly string[], test: MongoFilter): MongoFilter {
  const { field, above } = waysOf(path);
  return { $and: [{ [field]: test }, ...[...above, field].map((way) => ({ [way]: { $not: isList } }))] };
}

/** `keyOf` turns an id into an `_id`. */
export function conditionFilter(condition: Condition, keyOf: (id: string) => string): MongoFilter {
  const { path, in: values, bounds } = condition;
  const isId = path[0] === '_id';
  const tests: MongoFilter[] = bounds.map(({ op, value }) => {
    if (isId) return typeof value === 'string' ? { _id: { [`$${op}`]: keyOf(value) } } : nothing;
    if (value === null) return op === 'gte' || op === 'lte' ? isNull(path) : nothing;
    return isScalar(path, { [`$${op}`]: value });
  });
  if (values !== undefined) tests.unshift(isId ? idIn(values, keyOf) : isOneOf(path, values));
  return tests.length === 1 && tests[0] !== undefined ? tests[0] : { $and: tests };
}

function idIn(values: readonly Scalar[], keyOf: (id: string) => string): MongoFilter {
  return { _id: { $in: values.filter((value) => typeof value === 'string').map(keyOf) } };
}

function isOneOf(path: readonly string[], values: readonly Scalar[]): MongoFilter {
  const rest = values.filter((value) => value !== null);
  const tests = [
    ...(rest.length > 0 ? [isScalar(path, { $in: rest })] : []),
    ...(rest.length < values.length ? [isNull(path)] : []),
  ];
  if (tests.length === 0) return nothing;
  return tests.length === 1 && tests[0] !== undefined ? tests[0] : { $or: tests };
}

/** What comes behind `find.after` in its order. */
export function afterFilter(find: Find, keyOf: (id: string) => string): MongoFilter {
  const { after, order, descending } = find;
  if (after === undefined) return {};
  const same: MongoFilter[] = [];
  const ways: MongoFilter[] = [];
  for (const [at, path] of order.entries()) {
    const value = after.values[at] ?? null;
    const behind = descending ? below(path, value) : above(path, value);
    if (behind.length > 0) ways.push({ $and: [...same, { $or: behind }] });
    same.push(value === null ? isNull(path) : { [waysOf(path).field]: value });
  }
  ways.push({ $and: [...same, { _id: { [descending ? '$lt' : '$gt']: keyOf(after.id) } }] });
  return { $or: ways };
}

/** Indexed fields hold scalars only: no list to leave out. */
function above(path: readonly string[], value: Scalar): MongoFilter[] {
  const { field } = waysOf(path);
  const tests =
    value === null
      ? [anyNumber, anyText, anyBoolean]
      : [
          { $gt: value },
          ...(typeof value === 'number' ? [anyText] : []),
          ...(typeof value === 'boolean' ? [] : [anyBoolean]),
        ];
  return tests.map((test) => ({ [field]: test }));
}

function below(path: readonly string[], value: Scalar): MongoFilter[] {
  if (value === null) return [];
  const { field } = waysOf(path);
  const tests = [
    { $lt: value },
    ...(typeof value === 'boolean' ? [anyText] : []),
    ...(typeof value === 'number' ? [] : [anyNumber]),
  ];
  return [...tests.map((test) => ({ [field]: test })), isNull(path)];
}
