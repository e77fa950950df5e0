/**
 * Tables that jobs publish (`jobs/cricket/publish.ts`: a head and a document a row). What readers are answered is cached
 * (runtime/result-cache.ts); a job that publishes drops what its tables are cached under.
 */
import { z } from 'zod';
import type { DocumentQuery, StoredDocument } from '../runtime/document-query.ts';
import type { TenantDocuments } from '../runtime/documents.ts';

const head = z.looseObject({ _id: z.string(), _version: z.int(), label: z.string(), rows: z.int() });
export type TableHead = z.output<typeof head>;
type Rows = Pick<DocumentQuery, 'filter' | 'limit' | 'sort'>;

export interface ReadTable {
  readonly head: TableHead;
  readonly rows: readonly StoredDocument[];
}

/** What made a row what it is, and nobody asked for; its source stands once in the answer. */
const inner = new Set(['_id', '_version', 'table', 'label', 'inputs', 'source']);

/** A row as it is shown. */
export function shownRow(row: StoredDocument): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).filter(([field]) => !inner.has(field)));
}

export async function tableHead(documents: TenantDocuments, heads: string, id: string): Promise<TableHead | undefined> {
  const found = await documents.get(heads, id);
  return found === undefined ? undefined : head.parse(found);
}

/** Those that have rows, at most 100. */
export async function tableHeads(
  documents: TenantDocuments,
  heads: string,
  filter: NonNullable<DocumentQuery['filter']>,
): Promise<TableHead[]> {
  const { items } = await documents.page(heads, { filter, limit: 100 });
  return items.map((item) => head.parse(item)).filter(({ rows }) => rows > 0);
}

/** The rows of one table. A table that is replaced while it is read is read again. */
export async function readTable(
  documents: TenantDocuments,
  places: { readonly heads: string; readonly rowsIn: string },
  first: TableHead,
  { filter = {}, limit, sort }: Rows,
): Promise<ReadTable> {
  let now: TableHead | undefined = first;
  for (;;) {
    const wanted = { ...filter, table: now._id, label: now.label };
    const { items } = await documents.page(places.rowsIn, { filter: wanted, limit, sort });
    const after: TableHead | undefined = await tableHead(documents, places.heads, now._id);
    if (after === undefined || after.label === now.label) return { head: now, rows: items };
    now = after;
  }
}
