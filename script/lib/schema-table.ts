/** A table of fields from a zod schema, for people: what each field is, whether it must be there, what it means. */
import { z } from 'zod';

export interface FieldRow {
  /** A path: `items[].amount`. */
  readonly field: string;
  readonly type: string;
  /** `required`, `optional`, or the default as code. */
  readonly presence: string;
  readonly meaning: string;
}

/** One way a value may look; `name` tells the members of a union apart (`template = welcome`), else it is undefined. */
export interface Shape {
  readonly name: string | undefined;
  readonly rows: readonly FieldRow[];
}

type Schema = z.core.JSONSchema.BaseSchema;

/** `input`: what a producer writes, defaults optional. `output`: what a handler returns. */
export function shapesOf(schema: z.ZodType, io: 'input' | 'output'): Shape[] {
  const whole = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  const members = (whole.oneOf ?? whole.anyOf ?? [whole]).map(asSchema);
  return members.map((member) => ({
    name: members.length > 1 ? nameOf(member) : undefined,
    rows: fieldRows(member, ''),
  }));
}

/** The path of the field that `inputFile()` marked, or undefined. */
export function fileField(schema: z.ZodType): string | undefined {
  const whole = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return Object.entries(whole.properties ?? {}).find(([, field]) => asSchema(field)['file'] === true)?.[0];
}

function asSchema(value: Schema | boolean): Schema {
  return typeof value === 'boolean' ? {} : value;
}

function nameOf(member: Schema): string | undefined {
  for (const [field, value] of Object.entries(member.properties ?? {})) {
    const { const: only } = asSchema(value);
    if (typeof only === 'string') return `${field} = ${only}`;
  }
  return undefined;
}

function fieldRows(schema: Schema, prefix: string): FieldRow[] {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).flatMap(([name, value]) => {
    const field = asSchema(value);
    const row = {
      field: prefix + name,
      type: typeText(field),
      presence: presenceOf(field, required.has(name)),
      meaning: field.description ?? '',
    };
    return [row, ...fieldRows(field, `${prefix}${name}.`), ...elementRows(field, `${prefix}${name}[].`)];
  });
}

function elementRows(field: Schema, prefix: string): FieldRow[] {
  const { items } = field;
  return items === undefined || typeof items === 'boolean' || Array.isArray(items)
    ? []
    : fieldRows(asSchema(items), prefix);
}

function presenceOf(field: Schema, isRequired: boolean): string {
  if (field.default !== undefined) return `\`${JSON.stringify(field.default)}\``;
  return isRequired ? 'required' : 'optional';
}

function typeText(field: Schema): string {
  if (field['file'] === true) return 'input: `object:<key>`, `s3://bucket/key` or `https://…`';
  if (field.const !== undefined) return `\`${JSON.stringify(field.const)}\``;
  if (field.enum !== undefined) return field.enum.map((value) => `\`${String(value)}\``).join(', ');
  const either = field.anyOf ?? field.oneOf;
  if (either !== undefined) return either.map((one) => typeText(asSchema(one))).join(' or ');
  return (types[String(field.type)] ?? (() => 'anything'))(field);
}

const types: Readonly<Record<string, (field: Schema) => string>> = {
  array: (field) => {
    const count = range(field.minItems, field.maxItems, ' entries').slice(2);
    return `list of ${listed(field)}${count === '' ? '' : ` (${count})`}`;
  },
  boolean: () => '`true`, `false`',
  integer: (field) => `whole number${range(field.minimum, field.maximum)}`,
  null: () => '`null`',
  number: (field) => `number${range(field.minimum, field.maximum)}`,
  object: ({ additionalProperties: more }) =>
    typeof more === 'object' ? `object of ${typeText(more)} by name` : 'object',
  string: (field) =>
    `${formats[field.format ?? ''] ?? 'text'}${range(field.minLength, field.maxLength, ' characters')}`,
};

function listed(field: Schema): string {
  const tuple = field.prefixItems;
  if (tuple !== undefined) return tuple.map((one) => typeText(asSchema(one))).join(', ');
  const { items } = field;
  return items === undefined || typeof items === 'boolean' || Array.isArray(items)
    ? 'anything'
    : typeText(asSchema(items));
}

const formats: Readonly<Record<string, string>> = {
  date: 'date (`2026-05-01`)',
  'date-time': 'time (RFC 3339)',
  email: 'e-mail address',
  uri: 'address (URL)',
};

/** ` 1–10`, ` at most 10`; what only says "a safe integer" says nothing. */
function range(from: number | undefined, to: number | undefined, unit = ''): string {
  const low = from === undefined || from <= Number.MIN_SAFE_INTEGER || (unit !== '' && from === 0) ? undefined : from;
  const high = to === undefined || to >= Number.MAX_SAFE_INTEGER ? undefined : to;
  if (low !== undefined && high !== undefined) return `, ${low === high ? low : `${low}–${high}`}${unit}`;
  if (low !== undefined) return `, at least ${low}${unit}`;
  return high === undefined ? '' : `, at most ${high}${unit}`;
}
