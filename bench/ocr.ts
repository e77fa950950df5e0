/**
 * M4: pages read from files to text, words and places, two at once, against the bare tesseract program with the same page
 * modes and one thread each. 20 pages: 14 receipts, two brochures and statements, pictures of invoices, and page 1 of two
 * scanned PDFs. Ours decodes, looks twice at what is poor, finds fields and checks them. Needs the shared test data and
 * tesseract on PATH.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { openSystemEngine } from '../jobs/document-ocr/engine-system.ts';
import { openPdf } from '../jobs/document-ocr/pdf.ts';
import { asPnm, prepareSharp } from '../jobs/document-ocr/picture.ts';
import { readDocument } from '../jobs/document-ocr/read.ts';
import { openSource } from '../jobs/document-ocr/source.ts';
import { type BenchOptions, type Goal, goal, type Round } from './goal.ts';

const run$ = promisify(execFile);

interface Page {
  readonly path: string;
  readonly type: 'receipt' | 'invoice' | 'document';
}

async function pagesOf(folder: string, scratch: string): Promise<Page[]> {
  const receipts = (await readdir(join(folder, 'receipts'))).filter((name) => name.endsWith('.jpg')).toSorted();
  const scans = await Promise.all(
    ['cardinal', 'skew'].map(async (name) => {
      const page = (await openPdf(await readFile(join(folder, 'ocr', `${name}.pdf`)))).page(0);
      const drawn = page.draw(200);
      if (drawn === undefined) throw new Error(`expected page 1 of ${name}.pdf to have an area`);
      const path = join(scratch, `${name}.ppm`);
      await writeFile(path, asPnm(drawn));
      return path;
    }),
  );
  return [
    ...receipts.map((name): Page => ({ path: join(folder, 'receipts', name), type: 'receipt' })),
    ...['oyo.png', 'SammyMaystoneLinesTest.png'].map(
      (name): Page => ({ path: join(folder, 'invoices', name), type: 'invoice' }),
    ),
    ...['linn.png', 'bill.png'].map((name): Page => ({ path: join(folder, 'ocr', name), type: 'document' })),
    ...scans.map((path): Page => ({ path, type: 'document' })),
  ];
}

/** Pages a minute. */
async function paced(pages: readonly Page[], read: (page: Page) => Promise<number>): Promise<number> {
  const left = [...pages];
  const started = performance.now();
  const lane = async (): Promise<void> => {
    for (let page = left.shift(); page !== undefined; page = left.shift()) {
      if ((await read(page)) < 20) throw new Error(`${page.path} gave hardly a word; the run is void`);
    }
  };
  await Promise.all([lane(), lane()]);
  return (pages.length * 60_000) / (performance.now() - started);
}

async function bare({ path, type }: Page): Promise<number> {
  const { stdout } = await run$(
    'tesseract',
    [path, 'stdout', '-l', 'eng', '--psm', type === 'document' ? '1' : '6', 'tsv'],
    {
      env: { PATH: process.env['PATH'] ?? '', OMP_THREAD_LIMIT: '1' },
      maxBuffer: 32_000_000,
    },
  );
  return stdout.split('\n').length;
}

async function ours({ path, type }: Page): Promise<number> {
  const engine = openSystemEngine();
  const read = await readDocument(await openSource(await readFile(path), type), {
    type,
    engine: async () => engine,
    pageMs: 300_000,
    threshold: 0.85,
    signal: new AbortController().signal,
    progress: () => undefined,
  });
  return read.pages.reduce((all, page) => all + page.words.length, 0);
}

/** Goal: at least 0.9 of the pages a minute of the bare program. */
export async function run(options: BenchOptions): Promise<Goal[]> {
  const folder = resolve(process.env['TEST_DATA'] ?? '../shared/data');
  const hasProgram = await run$('tesseract', ['--version']).then(
    () => true,
    () => false,
  );
  if (!existsSync(join(folder, 'receipts')) || !hasProgram) {
    process.stderr.write('  ocr: skipped, it needs the shared test data (TEST_DATA) and tesseract on PATH\n');
    return [];
  }
  const scratch = await mkdtemp(join(tmpdir(), 'jobfleet-bench-'));
  try {
    prepareSharp();
    const pages = await pagesOf(folder, scratch);
    const measured: Round[] = [];
    for (let round = 0; round < (options.quick ? 2 : 5); round += 1)
      measured.push({ theirs: await paced(pages, bare), ours: await paced(pages, ours) });
    return [goal({ goal: 'M4', name: `${pages.length} pages, two at once, pages/min`, backend: '-' }, measured)];
  } finally {
    await rm(scratch, { recursive: true });
  }
}
