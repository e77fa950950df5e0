/** The rows of an export: documents by id up to the highest one at the start, so that none repeats and none is missed. */
import type { JobContext, Payload } from '../define.ts';
import { giveUp } from '../errors.ts';
import type { DocumentFilter, DocumentPage } from '../ports.ts';
import { type Cell, type Column, cellOf } from './cells.ts';
import type job from './job.ts';

type Wanted = Pick<Payload<typeof job>, 'collection' | 'columns' | 'filter' | 'format' | 'unmasked'>;

const pageRows = 1_000;
const maxRows = { csv: 5_000_000, json: 5_000_000, jsonl: 5_000_000, pdf: 5_000, xlsx: 100_000 } as const;

export interface Rows {
  readonly columns: readonly Column[];
  readonly bound: string | null;
  /** Read so far. */
  readonly count: () => number;
  /** Read in pages, one ahead of the writer. Throws `LIMIT_EXCEEDED` beyond what the format takes. */
  readonly batches: () => AsyncIterable<readonly (readonly Cell[])[]>;
}

export async function openRows(
  wanted: Wanted,
  ctx: Pick<JobContext, 'documents' | 'progress' | 'signal'>,
): Promise<Rows> {
  const own = wanted.columns.map(({ field, header, type }): Column => ({ field, header: header ?? field, type }));
  const { filter } = wanted;
  const newest = await ctx.documents.page(wanted.collection, {
    filter,
    sort: [{ field: '_id', descending: true }],
    limit: 1,
    fields: ['_id'],
  });
  const bound = newest.items[0]?._id ?? null;
  const { attribution } = newest;
  const said = attribution === undefined ? [] : [attribution];
  const columns = [...own, ...said.map((): Column => ({ field: '', header: freeHeader(own), type: 'text' }))];
  let count = 0;
  const read = async function* (): AsyncGenerator<readonly (readonly Cell[])[]> {
    if (bound === null) return;
    for await (const { items } of pages(wanted, { ...filter, _id: withBound(filter['_id'], bound) }, own, ctx)) {
      count += items.length;
      if (count > maxRows[wanted.format]) throw tooMany(wanted.format);
      yield items.map((item) => [...own.map((column) => cellOf(item[column.field], column, item._id)), ...said]);
      ctx.progress(Math.min(90, (count / maxRows[wanted.format]) * 90), `${count} rows`);
    }
  };
  return { columns, bound, count: () => count, batches: read };
}

/** Whose data they are stands in the last column of every row, however the others are called. */
function freeHeader(columns: readonly Column[]): string {
  const taken = new Set(columns.map(({ header }) => header));
  let header = 'attribution';
  while (taken.has(header)) header += '_';
  return header;
}

async function* pages(
  { collection, unmasked }: Wanted,
  filter: DocumentFilter,
  columns: readonly Column[],
  { documents, signal }: Pick<JobContext, 'documents' | 'signal'>,
): AsyncGenerator<DocumentPage> {
  const fields = [...new Set(columns.map(({ field }) => field))];
  const read = (after: string | undefined): Promise<DocumentPage> => {
    const query = { filter, fields, masked: !unmasked, limit: pageRows, ...(after === undefined ? {} : { after }) };
    const page = documents.page(collection, query);
    // The writer may fail before it takes the page that was read ahead.
    page.catch(() => undefined);
    return page;
  };
  let coming: Promise<DocumentPage> | undefined = read(undefined);
  while (coming !== undefined) {
    const page: DocumentPage = await coming;
    signal.throwIfAborted();
    coming = page.next === undefined ? undefined : read(page.next);
    yield page;
  }
}

function withBound(own: DocumentFilter[string] | undefined, bound: string): DocumentFilter[string] {
  if (own === undefined) return { lte: bound };
  if (typeof own !== 'object' || own === null) return { in: [own], lte: bound };
  const { lte } = own;
  return {
    ...own,
    lte: typeof lte === 'string' && Buffer.compare(Buffer.from(lte), Buffer.from(bound)) < 0 ? lte : bound,
  };
}

function tooMany(format: Wanted['format']): Error {
  const limit = maxRows[format].toLocaleString('en');
  const instead = format === 'xlsx' || format === 'pdf' ? 'Export CSV, or narrow the filter.' : 'Narrow the filter.';
  return giveUp('LIMIT_EXCEEDED', `There are more than ${limit} rows, which is what ${format} takes. ${instead}`);
}
