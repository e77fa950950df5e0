/**
 * Which fields of a payload are secret, and how they are exchanged for their encrypted form `{$enc: <text>}` and back.
 * Pure: the lock is the caller's. A field is looked for by its place, whatever the payload holds elsewhere.
 */
import { z } from 'zod';

/** Names from the payload down; `*` stands for every element of a list and every key of a record. */
export type SecretField = readonly string[];

export interface FieldLock {
  seal(text: string, field: string): string;
  /** Throws when it does not open. */
  open(sealed: string, field: string): string;
}

/** The stored payload holds a secret as it is: it came in past the client and the API. */
export class PlainSecretError extends Error {
  override readonly name = 'PlainSecretError';
}

interface Found {
  readonly fields: SecretField[];
  readonly problems: string[];
}

/** Where the marks are, and which of them stand where nothing can be encrypted by itself, one sentence each. */
export function secretFieldsOf(payload: z.ZodType): {
  readonly fields: readonly SecretField[];
  readonly problems: readonly string[];
} {
  const found: Found = { fields: [], problems: [] };
  walk(payload, [], [], found);
  const fields = found.fields.filter(
    (field, place) => !found.fields.some((other, at) => other !== field && covers(other, field, at < place)),
  );
  return { fields, problems: [...new Set(found.problems)] };
}

/** `first`: the other one came first, so that of two equal ones one stays. */
function covers(other: SecretField, field: SecretField, first: boolean): boolean {
  if (other.length > field.length || !other.every((name, place) => name === '*' || name === field[place])) return false;
  const isSame = other.length === field.length && other.every((name, place) => name === field[place]);
  return !isSame || first;
}

interface Step {
  readonly schema: z.core.$ZodType;
  readonly path: SecretField;
}

function walk(schema: z.core.$ZodType, path: SecretField, above: readonly Step[], found: Found): void {
  if (!(schema instanceof z.ZodType)) return;
  const again = above.find((step) => step.schema === schema && step.path.length < path.length);
  if (again !== undefined) return refuseLoops(again, found);
  if (above.some((step) => step.schema === schema)) return;
  const steps = [...above, { schema, path }];
  const mark = schema.meta()?.['secret'];
  if (mark === true) {
    if (path.length === 0) found.problems.push('the payload as a whole cannot be secret; mark its fields');
    else found.fields.push(path);
    return;
  }
  for (const [name, inner] of partsOf(schema)) walk(inner, name === undefined ? path : [...path, name], steps, found);
}

/** A schema that holds itself has no end of paths: nothing in it may be secret. */
function refuseLoops({ path, schema }: Step, found: Found): void {
  if (holdsSecret(schema, new Set()))
    found.problems.push(`${path.join('.') || 'the payload'} contains itself, so no field in it can be secret`);
}

function holdsSecret(schema: z.core.$ZodType, seen: Set<z.core.$ZodType>): boolean {
  if (!(schema instanceof z.ZodType) || seen.has(schema)) return false;
  seen.add(schema);
  return schema.meta()?.['secret'] === true || partsOf(schema).some(([, inner]) => holdsSecret(inner, seen));
}

/** What a schema is made of; undefined = in the same place. */
function partsOf(schema: z.ZodType): readonly (readonly [string | undefined, z.core.$ZodType])[] {
  if (schema instanceof z.ZodObject) {
    const { shape, catchall } = schema.def;
    const own = Object.entries(shape).map(([name, field]): [string, z.core.$ZodType] => [name, field]);
    return catchall === undefined ? own : [...own, ['*', catchall]];
  }
  if (schema instanceof z.ZodArray) return [['*', schema.def.element]];
  if (schema instanceof z.ZodRecord) return [['*', schema.def.valueType]];
  if (schema instanceof z.ZodTuple) {
    const items = schema.def.items.map((item, place): [string, z.core.$ZodType] => [String(place), item]);
    return schema.def.rest === null ? items : [...items, ['*', schema.def.rest]];
  }
  if (schema instanceof z.ZodUnion) return schema.def.options.map((option) => [undefined, option]);
  if (schema instanceof z.ZodIntersection)
    return [
      [undefined, schema.def.left],
      [undefined, schema.def.right],
    ];
  if (schema instanceof z.ZodPipe)
    return [
      [undefined, schema.def.in],
      [undefined, schema.def.out],
    ];
  if (schema instanceof z.ZodLazy) return [[undefined, schema.def.getter()]];
  const { def } = schema;
  return 'innerType' in def && def.innerType instanceof z.ZodType ? [[undefined, def.innerType]] : [];
}

/** A copy with every secret encrypted; absent ones and `null` stay as they are. `payload` is what the schema made, as JSON. */
export function sealFields(fields: readonly SecretField[], payload: unknown, lock: Pick<FieldLock, 'seal'>): unknown {
  return exchange(fields, payload, (value, field) => ({ $enc: lock.seal(JSON.stringify(value), field) }));
}

/**
 * A copy with every secret opened. Throws what the lock throws, and `PlainSecretError` for a secret that is not
 * encrypted, unless `plain` is allowed: for what is about to be sealed again.
 */
export function openFields(
  fields: readonly SecretField[],
  stored: unknown,
  lock: Pick<FieldLock, 'open'>,
  options: { readonly plain?: boolean } = {},
): unknown {
  return exchange(fields, stored, (value, field): unknown => {
    const sealed = sealedIn(value);
    if (sealed !== undefined) return JSON.parse(lock.open(sealed, field));
    if (options.plain === true) return value;
    throw new PlainSecretError(`payload.${field} is a secret that was stored without encryption`);
  });
}

/** Every text and number that the secrets hold. */
export function secretTexts(fields: readonly SecretField[], payload: unknown): readonly string[] {
  const texts = new Set<string>();
  const note = (value: unknown): void => {
    if (typeof value === 'string' || typeof value === 'number') texts.add(String(value));
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(note);
  };
  exchange(fields, payload, (value) => {
    note(value);
    return value;
  });
  return [...texts];
}

/** True when a secret stands there as it is. */
export function hasPlainSecret(fields: readonly SecretField[], stored: unknown): boolean {
  let isPlain = false;
  exchange(fields, stored, (value) => {
    if (sealedIn(value) === undefined) isPlain = true;
    return value;
  });
  return isPlain;
}

function sealedIn(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('$enc' in value)) return undefined;
  return typeof value.$enc === 'string' && Object.keys(value).length === 1 ? value.$enc : undefined;
}

type Change = (value: unknown, field: string) => unknown;

function exchange(fields: readonly SecretField[], value: unknown, change: Change): unknown {
  return fields.reduce((copy, field) => at(field, copy, [], change), value);
}

function at(rest: SecretField, value: unknown, path: readonly string[], change: Change): unknown {
  const [name, ...more] = rest;
  if (value === undefined || value === null) return value;
  if (name === undefined) return change(value, path.join('.'));
  if (Array.isArray(value)) {
    return value.map((item: unknown, place) =>
      name === '*' || name === String(place) ? at(more, item, [...path, String(place)], change) : item,
    );
  }
  if (typeof value !== 'object') return value;
  // fromEntries defines own properties: a key "__proto__" stays a key.
  return Object.fromEntries(
    Object.entries(value).map(([key, item]): [string, unknown] => [
      key,
      name === '*' || name === key ? at(more, item, [...path, key], change) : item,
    ]),
  );
}
