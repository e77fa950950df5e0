import { expect, test } from 'vitest';
import { z } from 'zod';
import { editorSchema } from './editor-schema.ts';

test('optional fields without a default are allowed, not filled in', () => {
  const schema = editorSchema(
    z.strictObject({
      id: z.string(),
      note: z.string().optional(),
      count: z.int().default(1),
      'a.b': z.string().optional(),
    }),
  );
  expect(schema).toMatchObject({
    $schema: 'http://json-schema.org/draft-07/schema#',
    properties: { id: { type: 'string' }, count: { default: 1 } },
    patternProperties: { '^note$': { type: 'string' }, '^a\\.b$': { type: 'string' } },
    required: ['id'],
    additionalProperties: false,
  });
});

test('reaches into lists, unions and fields that are named like words of JSON Schema', () => {
  const inner = z.object({ properties: z.object({ deep: z.string().optional() }), default: z.string() });
  const text = JSON.stringify(editorSchema(z.union([z.array(inner), inner])));
  expect(text.match(/"\^deep\$"/g)).toHaveLength(2);
  expect(text).not.toContain('"deep"');
});
