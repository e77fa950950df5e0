/** Writes an export into the job's folder: format, gzip, checksum. The file is published when it is whole. */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { JobContext, Payload } from '../define.ts';
import { giveUp } from '../errors.ts';
import type { Cell } from './cells.ts';
import type job from './job.ts';
import { openRows, type Rows } from './rows.ts';
import { csvFormat, jsonFormat, jsonLinesFormat, type TextFormat } from './text-formats.ts';

type Wanted = Payload<typeof job>;

const contentTypes = {
  csv: 'text/csv; charset=utf-8',
  json: 'application/json',
  jsonl: 'application/jsonl',
  pdf: 'application/pdf',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
} as const;

export interface Written {
  readonly object: string;
  /** Relative to the tenant. */
  readonly key: string;
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly bound: string | null;
}

export async function writeExport(wanted: Wanted, ctx: JobContext): Promise<Written> {
  const rows = await openRows(wanted, ctx);
  const path = join(ctx.folder, 'export');
  const hash = createHash('sha256');
  let bytes = 0;
  const count = async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      hash.update(chunk);
      bytes += chunk.byteLength;
      yield chunk;
    }
  };
  const body = await bodyOf(wanted, rows);
  const file = createWriteStream(path, { flags: 'wx', mode: 0o600 });
  const { signal } = ctx;
  if (wanted.gzip) await pipeline(body, createGzip(), count, file, { signal });
  else await pipeline(body, count, file, { signal });
  const extension = wanted.gzip ? `${wanted.format}.gz` : wanted.format;
  const key = `exports/${ctx.id}/${wanted.collection}.${extension}`;
  const type = wanted.gzip ? 'application/gzip' : contentTypes[wanted.format];
  const { object } = await ctx.objects.put(key, path, type);
  return { object, key, rows: rows.count(), bytes, sha256: hash.digest('hex'), bound: rows.bound };
}

/** Bytes, as they are asked for. */
async function bodyOf({ collection, format }: Wanted, rows: Rows): Promise<Readable> {
  switch (format) {
    case 'csv':
      return textBody(csvFormat(rows.columns), rows);
    case 'json':
      return textBody(jsonFormat(rows.columns), rows);
    case 'jsonl':
      return textBody(jsonLinesFormat(rows.columns), rows);
    case 'pdf': {
      const { maxPdfColumns, pdfFile } = await import('./pdf.ts');
      if (rows.columns.length > maxPdfColumns)
        throw giveUp('LIMIT_EXCEEDED', `A PDF takes ${maxPdfColumns} columns, not ${rows.columns.length}. Export CSV.`);
      return pdfFile(collection, rows.columns, rows.batches());
    }
    case 'xlsx': {
      const { maxXlsxCells, xlsxFile } = await import('./xlsx.ts');
      const all: (readonly Cell[])[] = [];
      for await (const batch of rows.batches()) {
        all.push(...batch);
        if (all.length * rows.columns.length > maxXlsxCells)
          throw giveUp(
            'LIMIT_EXCEEDED',
            `XLSX takes ${maxXlsxCells.toLocaleString('en')} cells. Export CSV, fewer columns or fewer rows.`,
          );
      }
      return Readable.from([await xlsxFile(rows.columns, all)]);
    }
  }
}

function textBody(format: TextFormat, rows: Rows): Readable {
  const text = async function* (): AsyncGenerator<Buffer> {
    yield Buffer.from(format.start);
    let isFirst = true;
    for await (const batch of rows.batches()) {
      if (batch.length === 0) continue;
      yield Buffer.from(format.rows(batch, isFirst));
      isFirst = false;
    }
    yield Buffer.from(format.end);
  };
  // Bytes, not objects: what waits to be written is bounded by its size.
  return Readable.from(text(), { objectMode: false });
}
