/** JSON Schema 2020-12 (that of OpenAPI 3.1) from our zod schemas. */
import { z } from 'zod';

export type JsonSchema = Readonly<Record<string, unknown>>;

/** What a caller writes (`input`, defaults optional) or reads (`output`). What JSON Schema cannot say becomes "anything". */
export function jsonSchema(schema: z.ZodType, io: 'input' | 'output' = 'input'): JsonSchema {
  const { $schema: _draft, '~standard': _standard, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}
