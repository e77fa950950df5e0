/**
 * What a query asks of a store, checked: conditions on scalars, an order that a declared index gives, a place to go on
 * from. The order of scalars is the same everywhere: null or missing, numbers, text by code points, false, true. Pure.
 */
import { checkId, checkPath, checkScalar, DocumentError, valueAt } from './document-checks.ts';

export type Scalar = string | number | boolean | null;
type FieldFilter =
  | Scalar
  | {
      readonly in?: readonly Scalar[] | undefined;
      readonly gt?: Scalar | undefined;
      readonly gte?: Scalar | undefined;
      readonly lt?: Scalar | undefined;
      readonly lte?: Scalar | undefined;
    };
export interface DocumentQuery {
  readonly filter?: Readonly<Record<string, FieldFilter>> | undefined;
  readonly sort?: readonly { readonly field: string; readonly descending?: boolean | undefined }[] | undefined;
  readonly limit?: number | undefined;
  readonly after?: string | undefined;
}
export interface StoredDocument {
  readonly _id: string;
  readonly _version: number;
  readonly [field: string]: unknown;
}

export type Bound = { readonly op: 'gt' | 'gte' | 'lt' | 'lte'; readonly value: Scalar };

/** What one field must be: one of `in` (when given), and within every bound. */
export interface Condition {
  /** `['_id']` or a path into the document. */
  readonly path: readonly string[];
  readonly in: readonly Scalar[] | undefined;
  readonly bounds: readonly Bound[];
}

export interface Find {
  readonly conditions: readonly Condition[];
  /** Paths of the index, without `_id`, which always comes last. */
  readonly order: readonly (readonly string[])[];
  readonly descending: boolean;
  readonly limit: number;
  /** Behind this one. */
  readonly after: { readonly values: readonly Scalar[]; readonly id: string } | undefined;
}

const ops = ['gt', 'gte', 'lt', 'lte'] as const;
const maxFields = 20;
const maxIn = 100;

const refused = (message: string): DocumentError => new DocumentError('DOCUMENT_REFUSED', message);

export function planFind(query: DocumentQuery, indexes: readonly (readonly string[])[]): Find {
  const entries = Object.entries(query.filter ?? {});
  if (entries.length > maxFields)
    throw refused(`expected a filter of at most ${maxFields} fields, got ${entries.length}`);
  const conditions = entries.map(([field, filter]) => readCondition(field, filter));
  const { order, descending } = readSort(query.sort ?? [], conditions, indexes);
  const limit = query.limit ?? 100;
  if (!Number.isInteger(limit) || limit < 1 || limit > 1_000)
    throw refused(`expected a limit from 1 to 1000, got ${limit}`);
  const after = query.after === undefined ? undefined : readCursor(query.after, order.length);
  return { conditions, order, descending, limit, after };
}

function readCondition(field: string, filter: FieldFilter): Condition {
  const path = field === '_id' ? ['_id'] : checkPath(field);
  if (typeof filter !== 'object' || filter === null) return { path, in: [checkScalar(filter, field)], bounds: [] };
  const unknown = Object.keys(filter).filter((key) => key !== 'in' && !ops.some((op) => op === key));
  if (unknown.length > 0 || Array.isArray(filter))
    throw refused(
      `${field}: expected a scalar or { in, gt, gte, lt, lte }, got ${JSON.stringify(filter).slice(0, 80)}`,
    );
  if (filter.in !== undefined && (!Array.isArray(filter.in) || filter.in.length > maxIn))
    throw refused(`${field}: expected a list of at most ${maxIn} scalars for "in"`);
  const bounds = ops.flatMap((op) => {
    const value = filter[op];
    return value === undefined ? [] : [{ op, value: checkScalar(value, field) }];
  });
  if (filter.in === undefined && bounds.length === 0) throw refused(`${field}: expected one of in, gt, gte, lt, lte`);
  return { path, in: filter.in?.map((value) => checkScalar(value, field)), bounds };
}

type Sort = NonNullable<DocumentQuery['sort']>;

/** The index whose order this is: first the fields that the filter fixes, then those of the sort; what follows breaks ties. */
function readSort(
  sort: Sort,
  conditions: readonly Condition[],
  indexes: readonly (readonly string[])[],
): Pick<Find, 'order' | 'descending'> {
  const [first] = sort;
  if (first === undefined) return { order: [], descending: false };
  const descending = first.descending === true;
  if (sort.some((one) => (one.descending === true) !== descending))
    throw refused('expected a sort with all fields ascending or all descending');
  if (sort.length === 1 && first.field === '_id') return { order: [], descending };
  const wanted = sort.map(({ field }) => field).filter((field, at) => field !== '_id' || at !== sort.length - 1);
  const isFixed = (field: string): boolean =>
    conditions.some(({ path, in: values }) => path.join('.') === field && values?.length === 1);
  for (const index of indexes) {
    let from = 0;
    while (from < index.length) {
      if (wanted.every((field, at) => index[from + at] === field))
        return { order: index.slice(from).map((field) => field.split('.')), descending };
      if (!isFixed(index[from] ?? '')) break;
      from += 1;
    }
  }
  const known = indexes.map((index) => index.join(' + ')).join('; ') || 'none';
  throw refused(
    `No declared index sorts by ${wanted.join(', ')}: declare one in "collections" of the job type, or sort by _id. Indexes: ${known}`,
  );
}

const kinds = ['null', 'number', 'string', 'boolean'];

/** Null for what is no scalar: indexed fields hold nothing else. */
export function scalarAt(document: object, path: readonly string[]): Scalar {
  const value = valueAt(document, path);
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null;
}

export function kindOf(value: Scalar): number {
  return value === null ? 0 : kinds.indexOf(typeof value);
}

/** Below 0 when `a` comes first. UTF-16 order is code point order except where surrogates stand against U+E000 and above. */
export function compareScalars(a: Scalar, b: Scalar): number {
  const byKind = kindOf(a) - kindOf(b);
  if (byKind !== 0 || a === b || a === null || b === null) return byKind;
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : 1;
}

/** The first text behind everything that begins with `prefix`, by code points; undefined when there is none. */
export function prefixEnd(prefix: string): string | undefined {
  const points = Array.from(prefix, (point) => point.codePointAt(0) ?? 0);
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    // Halves of surrogate pairs are no text.
    if (last < 0x10ffff) return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
  }
  return undefined;
}

/** The cursor behind a document, for the same query. */
export function openCursor(find: Find, last: StoredDocument): string {
  const values = find.order.map((path) => scalarAt(last, path));
  return Buffer.from(JSON.stringify([...values, last._id])).toString('base64url');
}

function readCursor(text: string, fields: number): NonNullable<Find['after']> {
  try {
    const read: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    if (Array.isArray(read) && read.length === fields + 1)
      return { values: read.slice(0, -1).map((value) => checkScalar(value, 'after')), id: checkId(read.at(-1)) };
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof DocumentError)) throw error;
  }
  throw refused('expected "after" to be the "next" of a page of the same query');
}
