/** The JSON Schema (draft 7) that the board's editor checks against and fills a new job from. Pure. */
import { z } from 'zod';

type Schema = Readonly<Record<string, unknown>>;

/**
 * What a producer writes. The editor writes every listed property into a new job, empty; optional ones would then be
 * refused for being empty, so they move to `patternProperties`, where they are allowed and not filled in.
 */
export function editorSchema(payload: z.ZodType): Schema {
  return withoutEmpty({ ...z.toJSONSchema(payload, { target: 'draft-7', io: 'input', unrepresentable: 'any' }) });
}

function withoutEmpty(schema: Schema): Schema {
  const walked = mapValues(schema, (value, key) => {
    if (key === 'default' || key === 'const') return value;
    // The keys of this one are names of fields, not words of JSON Schema.
    return key === 'properties' && isSchema(value) ? mapValues(value, (one) => walk(one)) : walk(value);
  });
  const { properties, required } = walked;
  if (!isSchema(properties)) return walked;
  const needed = new Set<unknown>(Array.isArray(required) ? required : []);
  const isFilled = ([name, value]: [string, unknown]) =>
    needed.has(name) || (isSchema(value) && Object.hasOwn(value, 'default'));
  const optional = Object.entries(properties).filter((entry) => !isFilled(entry));
  if (optional.length === 0) return walked;
  return {
    ...walked,
    properties: Object.fromEntries(Object.entries(properties).filter(isFilled)),
    patternProperties: Object.fromEntries(
      optional.map(([name, value]) => [`^${name.replace(/[^\w-]/g, '\\$&')}$`, value]),
    ),
  };
}

function mapValues(schema: Schema, change: (value: unknown, key: string) => unknown): Schema {
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, change(value, key)]));
}

function walk(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(walk);
  return isSchema(value) ? withoutEmpty(value) : value;
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
