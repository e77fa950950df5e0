/** What a collection, an id and a document must be, on every store. Pure. */

/** `code` is stable: `DOCUMENT_REFUSED` (the caller is wrong), `QUERY_TIMEOUT`, `NETWORK`, `DOCUMENTS_UNSUPPORTED` (the server is). */
export class DocumentError extends Error {
  override readonly name = 'DocumentError';
  readonly code: 'DOCUMENT_REFUSED' | 'DOCUMENTS_UNSUPPORTED' | 'NETWORK' | 'QUERY_TIMEOUT';
  constructor(code: DocumentError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

const refused = (message: string): DocumentError => new DocumentError('DOCUMENT_REFUSED', message);

export const sizeLimits = {
  documentBytes: 1_048_576,
  idBytes: 512,
  /** Text in a field of an index: three of them and an id must fit into one entry of a B-tree page. */
  indexedBytes: 500,
  levels: 64,
  many: 1_000,
  manyBytes: 16 * 1_048_576,
} as const;

const tenantRule = /^[a-z0-9_-]{1,64}$/;
const collectionRule = /^[a-z][a-z0-9_]{0,47}$/;
/** Part of a path. No number: it would mean a place in a list on some stores. Nor the name that is no field of an object. */
const partRule = /^(?!-?\d+$|__proto__$)[A-Za-z0-9_-]{1,64}$/;
const unstorable = /\0|\p{Surrogate}/u;

export function checkTenant(tenant: string): string {
  if (!tenantRule.test(tenant)) throw refused(`"${tenant.slice(0, 64)}" is no tenant`);
  return tenant;
}

/** Of a declaration. */
export function checkName(name: string, indexes: readonly (readonly string[])[], ttlMs: number | undefined): void {
  if (!collectionRule.test(name))
    throw refused(`expected a collection of 1 to 48 of a–z, 0–9 and _, a letter first, got "${name.slice(0, 64)}"`);
  for (const index of indexes) {
    if (index.length < 1 || index.length > 3 || new Set(index).size < index.length)
      throw refused(`${name}: expected an index of 1 to 3 different fields, got ${JSON.stringify(index)}`);
    for (const field of index) checkPath(field);
  }
  if (ttlMs !== undefined && !(Number.isSafeInteger(ttlMs) && ttlMs >= 1_000))
    throw refused(`${name}: expected a ttlMs of at least 1000, got ${ttlMs}`);
}

/** The parts of a field's path. */
export function checkPath(field: string): readonly string[] {
  const parts = field.split('.');
  if (parts.length > 8 || !parts.every((part) => partRule.test(part)) || parts[0] === '_id' || parts[0] === '_version')
    throw refused(
      `expected a field of 1 to 8 parts between dots, each of letters, digits, _ and - and no number, got "${field.slice(0, 80)}"`,
    );
  return parts;
}

export function checkId(id: unknown): string {
  const isGood =
    typeof id === 'string' && id !== '' && Buffer.byteLength(id) <= sizeLimits.idBytes && !unstorable.test(id);
  if (isGood) return id;
  throw refused(
    `expected an _id of 1 to ${sizeLimits.idBytes} bytes of text, got ${JSON.stringify(id)?.slice(0, 80) ?? typeof id}`,
  );
}

/** Text and numbers of a filter. */
export function checkScalar(value: unknown, where: string): string | number | boolean | null {
  if (value === null || typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value + 0;
  if (typeof value === 'string' && !unstorable.test(value)) return value;
  throw refused(`${where}: expected text, a finite number, a boolean or null, got ${typeof value}`);
}

/** The value at a path that goes through objects only; undefined where there is none. */
export function valueAt(document: object, path: readonly string[]): unknown {
  let value: unknown = document;
  for (const part of path) {
    if (!isObject(value) || !Object.hasOwn(value, part)) return undefined;
    value = value[part];
  }
  return value;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The fields of a document from its JSON. */
export function readJson(json: string): object {
  const read: unknown = JSON.parse(json);
  if (typeof read === 'object' && read !== null) return read;
  throw new TypeError(`expected a stored document to be an object, got ${typeof read}`);
}

/** Makes JSON of it, as it will be read back. */
export function checkDocument(
  document: { readonly _id: string; readonly [field: string]: unknown },
  indexes: readonly (readonly string[])[],
): { readonly id: string; readonly json: string } {
  const { _id, _version: _ignored, ...body } = document;
  const id = checkId(_id);
  let json: string;
  try {
    json = JSON.stringify(body);
  } catch (error) {
    throw new DocumentError('DOCUMENT_REFUSED', `the document "${id}" is no JSON`, { cause: error });
  }
  const bytes = Buffer.byteLength(json);
  if (bytes > sizeLimits.documentBytes)
    throw refused(`the document "${id}" has ${bytes} bytes of JSON; at most ${sizeLimits.documentBytes} are kept`);
  const plain = readJson(json);
  checkValue(plain, id, 1);
  for (const index of indexes) for (const field of index) checkIndexed(plain, field, id);
  return { id, json };
}

function checkValue(value: unknown, id: string, level: number): void {
  if (typeof value === 'string') {
    if (unstorable.test(value))
      throw refused(`the document "${id}" has text with a NUL character or half a surrogate pair; clean it first`);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  if (level > sizeLimits.levels) throw refused(`the document "${id}" has more than ${sizeLimits.levels} levels`);
  if (Array.isArray(value)) {
    for (const item of value) checkValue(item, id, level + 1);
    return;
  }
  for (const [field, item] of Object.entries(value)) {
    if (field === '' || unstorable.test(field) || field.startsWith('$'))
      throw refused(
        `the document "${id}" has a field "${field.slice(0, 20)}": expected no empty name, no $ first, no NUL`,
      );
    checkValue(item, id, level + 1);
  }
}

function checkIndexed(document: object, field: string, id: string): void {
  const path = field.split('.');
  // Some stores look into lists on the way.
  for (const at of path.keys())
    if (Array.isArray(valueAt(document, path.slice(0, at))))
      throw refused(
        `the document "${id}" has a list on the way to "${field}", which an index sorts by; expected objects`,
      );
  const value = valueAt(document, path);
  if (typeof value === 'object' && value !== null)
    throw refused(
      `the document "${id}" has a list or an object in "${field}", which an index sorts by; expected a scalar`,
    );
  if (typeof value === 'string' && Buffer.byteLength(value) > sizeLimits.indexedBytes)
    throw refused(
      `the document "${id}" has ${Buffer.byteLength(value)} bytes of text in "${field}", which an index sorts by; expected at most ${sizeLimits.indexedBytes}`,
    );
}
