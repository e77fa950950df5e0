/** Tables of the generated documentation. */
import { z } from 'zod';

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n');
}

function defaultOf(schema: z.ZodType): string {
  const parsed = schema.safeParse(undefined);
  if (!parsed.success) return 'required';
  return parsed.data === undefined
    ? '–'
    : `\`${typeof parsed.data === 'string' ? parsed.data : JSON.stringify(parsed.data)}\``;
}

/** One row a variable of an environment schema: name, default, meaning. */
export function variableRows(schema: z.ZodObject): string[][] {
  return Object.entries(schema.shape).flatMap(([name, field]) =>
    field instanceof z.ZodType ? [[`\`${name}\``, defaultOf(field), field.description ?? '']] : [],
  );
}
