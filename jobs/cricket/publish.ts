/**
 * A table as readers see it: one head, and a document a row. Rows are written under a label of their own and are seen when
 * the head names the label, so that nobody reads half a table, whatever crashes; a table made from older inputs never
 * replaces one made from newer ones.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { JobDocuments } from '../ports.ts';
import { attribution } from './attribution.ts';

/** What readers and writers need of a head; the rest belongs to the kind of table. */
const head = z.looseObject({
  _version: z.int(),
  inputs: z.int(),
  asOf: z.string(),
  label: z.string(),
  digest: z.string(),
});

export type Head = z.output<typeof head>;

export interface Table {
  readonly id: string;
  readonly heads: string;
  readonly rowsIn: string;
  /** The version of the inputs it was made from, then the day: what is newer replaces. */
  readonly inputs: number;
  readonly asOf: string;
  /** Different for every attempt. */
  readonly label: string;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

const rowsAtOnce = 500;

export async function headOf(documents: JobDocuments, heads: string, id: string): Promise<Head | undefined> {
  const found = await documents.get(heads, id);
  return found === undefined ? undefined : head.parse(found);
}

/** False when a newer table is there: nothing was changed. */
export async function publish(documents: JobDocuments, table: Table): Promise<boolean> {
  const { id, heads, rowsIn, inputs, asOf, rows } = table;
  const digest = createHash('sha256').update(JSON.stringify(rows)).digest('hex');
  let isWritten = false;
  for (;;) {
    const before = await headOf(documents, heads, id);
    if (before !== undefined && isNewer(before, table)) {
      if (isWritten) await documents.removePrefix(rowsIn, `${id}/${table.label}/`);
      return false;
    }
    const isSame = before?.digest === digest;
    if (!isSame && !isWritten) {
      await writeRows(documents, table);
      isWritten = true;
    }
    const label = isSame ? before.label : table.label;
    const next = { ...table.facts, _id: id, inputs, asOf, label, digest, rows: rows.length };
    if (!(await documents.put(heads, next, { version: before?._version ?? 0 }))) continue;
    await removeOld(documents, table, [label, before?.label]);
    return true;
  }
}

function isNewer(there: Head, { inputs, asOf }: Table): boolean {
  return there.inputs > inputs || (there.inputs === inputs && there.asOf > asOf);
}

async function writeRows(documents: JobDocuments, { id, rowsIn, inputs, label, rows }: Table): Promise<void> {
  for (let at = 0; at < rows.length; at += rowsAtOnce) {
    const some = rows.slice(at, at + rowsAtOnce).map((row, index) => ({
      ...row,
      _id: `${id}/${label}/${String(at + index + 1).padStart(6, '0')}`,
      table: id,
      label,
      inputs,
      source: attribution,
    }));
    await documents.putMany(rowsIn, some);
  }
}

/** The rows this table replaced, and those of older attempts that died before their head; one of equal inputs may still be under way. */
async function removeOld(
  documents: JobDocuments,
  { id, rowsIn, inputs }: Table,
  [current, replaced]: readonly (string | undefined)[],
): Promise<void> {
  const old = new Set<string>();
  if (replaced !== undefined && replaced !== current) old.add(replaced);
  const filter = { table: id, inputs: { lt: inputs } };
  for await (const { label } of documents.stream(rowsIn, { filter }))
    if (typeof label === 'string' && label !== current) old.add(label);
  for (const label of old) await documents.removePrefix(rowsIn, `${id}/${label}/`);
}

/** Part of a table's id: short, without `/`. */
export function keyPart(text: string): string {
  const plain = text
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, '-')
    .replaceAll(/^-|-$/g, '');
  if (plain !== '' && plain.length <= 60) return plain;
  return `${plain.slice(0, 40)}-${createHash('sha256').update(text).digest('hex').slice(0, 8)}`;
}
