/**
 * M4: pages read from files to text, words and places, two at once, against the bare tesseract program with one thread
 * each: once a page with the page mode of its kind, and with the very pictures and settings that ours gave it, pass for
 * pass (a poor page gets a second look and is asked for its orientation). 20 pages: 14 receipts, two brochures and
 * statements, pictures of invoices, and page 1 of two scanned PDFs. Ours decodes, finds fields and checks them besides.
 * Needs the shared test data and tesseract on PATH.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { Engine } from '../jobs/document-ocr/engine.ts';
import { openSystemEngine } from '../jobs/document-ocr/engine-system.ts';
import { openPdf } from '../jobs/document-ocr/pdf.ts';
import { asPnm, type Picture, prepareSharp, smallOf } from '../jobs/document-ocr/picture.ts';
import { readDocument } from '../jobs/document-ocr/read.ts';
import { openSource } from '../jobs/document-ocr/source.ts';
import { atLeast, type BenchOptions, type Goal, goal, median, type Round } from './goal.ts';

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

const oneThread = { OMP_THREAD_LIMIT: '1' };

async function tesseract(args: readonly string[], threads: NodeJS.ProcessEnv = oneThread): Promise<number> {
  const env = { PATH: process.env['PATH'] ?? '', ...threads };
  // Exit 1: too little text to tell the orientation; it has looked all the same.
  const { stdout } = await run$('tesseract', args, { env, maxBuffer: 32_000_000 }).catch((error: unknown) => {
    if (args.includes('0') && error instanceof Error) return { stdout: '' };
    throw error;
  });
  return stdout.split('\n').length;
}

const bare = ({ path, type }: Page, threads?: NodeJS.ProcessEnv): Promise<number> =>
  tesseract([path, 'stdout', '-l', 'eng', '--psm', type === 'document' ? '1' : '6', 'tsv'], threads);

/** Page → the arguments of each pass that ours gave the program, its pictures kept as files. */
type Passes = ReadonlyMap<Page, readonly (readonly string[])[]>;

async function replay(page: Page, passes: Passes): Promise<number> {
  let lines = 0;
  for (const args of passes.get(page) ?? []) lines += await tesseract(args);
  return lines;
}

async function recordPasses(pages: readonly Page[], scratch: string): Promise<Passes> {
  const passes = new Map<Page, string[][]>();
  for (const page of pages) {
    const own: string[][] = [];
    const note = async (picture: Picture, ...args: readonly string[]): Promise<void> => {
      const path = join(scratch, `${passes.size}-${own.length}.ppm`);
      own.push([path, 'stdout', ...args]);
      await writeFile(path, asPnm(picture));
    };
    const engine = openSystemEngine();
    await ours(page, {
      ...engine,
      async orientation(picture, signal) {
        await note(await smallOf(picture, 2_000), '--psm', '0', '--dpi', '150');
        return engine.orientation(picture, signal);
      },
      async read(picture, mode, signal) {
        const dpi = picture.dpi === undefined ? [] : ['--dpi', String(picture.dpi)];
        await note(picture, '-l', 'eng', '--psm', String(mode), ...dpi, 'tsv');
        return engine.read(picture, mode, signal);
      },
    });
    passes.set(page, own);
  }
  return passes;
}

async function ours({ path, type }: Page, engine: Engine = openSystemEngine()): Promise<number> {
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
    const passes = await recordPasses(pages, scratch);
    const count = [...passes.values()].reduce((sum, own) => sum + own.length, 0);
    const [once, same]: [Round[], Round[]] = [[], []];
    for (let round = 0; round < (options.quick ? 2 : 5); round += 1) {
      const ourPace = await paced(pages, (page) => ours(page));
      once.push({ theirs: await paced(pages, (page) => bare(page)), ours: ourPace });
      same.push({ theirs: await paced(pages, (page) => replay(page, passes)), ours: ourPace });
    }
    // Its own threads wait for each other: it takes too long to read all pages that way.
    const few = pages.filter((_, index) => index % (options.quick ? 7 : 4) === 0);
    const defaults: Round[] = [
      { ours: median(same.map(({ ours: pace }) => pace)), theirs: await paced(few, (page) => bare(page, {})) },
    ];
    const about = `${pages.length} pages, two at once, pages/min`;
    return [
      goal({ goal: 'M4', name: `${about}, against the same ${count} passes`, backend: '-' }, same, atLeast(0.9, 0.7)),
      goal({ goal: 'M4', name: `${about}, against one pass a page`, backend: '-' }, once),
      goal(
        { goal: 'M4', name: `${about}, against its default threads on ${few.length} of them`, backend: '-' },
        defaults,
        atLeast(3, 2),
      ),
    ];
  } finally {
    await rm(scratch, { recursive: true });
  }
}
