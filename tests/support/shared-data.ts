/** The files of TEST_DATA by what each is to us: the input of a job type, or a key that outputs are compared with. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';

export const sharedData = resolve(process.env['TEST_DATA'] ?? '../shared/data');

const path = join(sharedData, 'manifest.json');
const schema = z.object({ entries: z.array(z.object({ file: z.string(), facts: z.unknown() })) });

/** Every file of the manifest; empty where the data is not. */
export const sharedEntries: z.output<typeof schema>['entries'] = existsSync(path)
  ? schema.parse(JSON.parse(readFileSync(path, 'utf8'))).entries
  : [];

const inputsIn: Readonly<Record<string, string>> = {
  cricket: 'match-aggregation',
  feeds: 'news-aggregation',
  images: 'image-processing',
  invoices: 'document-ocr',
  ocr: 'document-ocr',
  receipts: 'document-ocr',
  video: 'video-transcoding',
};

/** `ocr` of `ocr/bill.png`. */
export function folderOf(file: string): string {
  return file.slice(0, file.indexOf('/'));
}

/** The job type that takes the file; undefined for a key: fields, gold text or words of the document beside it. */
export function takerOf(file: string): string | undefined {
  const taker = inputsIn[folderOf(file)];
  const isKey = taker === 'document-ocr' ? /\.(?:csv|json|txt)$/.test(file) : file === 'cricket/expected.json';
  return isKey ? undefined : taker;
}

export interface Row {
  readonly file: string;
  readonly expected: string;
  readonly got: string;
}

/** The inputs of a job type, in the order of the manifest. */
export function inputsOf(type: string): string[] {
  return sharedEntries.map(({ file }) => file).filter((file) => takerOf(file) === type);
}

/** Prints file, expected and got of every row, and how many there are in each folder. */
export function printRows(title: string, rows: readonly Row[]): void {
  const table = [{ file: 'file', expected: 'expected', got: 'got' }, ...rows];
  const width = (of: 'file' | 'expected'): number => Math.max(...table.map((row) => row[of].length));
  const [file, expected] = [width('file'), width('expected')];
  const lines = table.map((row) => `${row.file.padEnd(file)}  ${row.expected.padEnd(expected)}  ${row.got}`);
  const counts = new Map<string, number>();
  for (const row of rows) counts.set(folderOf(row.file), (counts.get(folderOf(row.file)) ?? 0) + 1);
  const sums = [...counts].map(([folder, count]) => `${folder} ${count}`);
  process.stdout.write(`${title}\n${lines.join('\n')}\n${title}: ${rows.length} files (${sums.join(', ')})\n`);
}
