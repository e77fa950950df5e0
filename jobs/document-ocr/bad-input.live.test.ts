/** What no document should do to a worker. The cases run in this process; those that eat memory or time in a child too. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { boundCorpus, corpora } from '../../tests/corpus/bounds.ts';
import type { DocumentCase } from '../../tests/corpus/document-case.ts';
import { formPdf } from '../../tests/corpus/document-files.ts';
import { documentCases } from '../../tests/corpus/documents.ts';
import { crowding } from '../../tests/support/crowding.ts';
import { openPool, type Pool } from '../../workers/isolate/pool.ts';
import { runJob } from '../../workers/testing.ts';
import handler from './handler.ts';
import job from './job.ts';

const cases = await documentCases();
let base: string;
let pool: Pool;

const env = {
  OCR_CONFIDENCE_THRESHOLD: 0.85,
  OCR_FIELD_THRESHOLDS: '',
  OCR_ENGINE: 'auto',
  OCR_PAGE_SECONDS: 60,
  GEMINI_MODEL: 'none',
  GEMINI_URL: 'https://example.com',
};

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'jobfleet-ocr-'));
  const handlerUrl = new URL('handler.ts', import.meta.url).href;
  const types = [{ name: job.name, handlerUrl, policy: job.policy, env }];
  pool = await openPool({ types, base, spares: 1, environment: process.env, log: { warn: () => {}, error: () => {} } });
});

afterAll(async () => {
  await pool.close();
  expect(await readdir(base)).toEqual([]);
  await rm(base, { recursive: true });
});

async function outcomeOf(
  { bytes, type = 'document', pageSeconds = 60 }: Pick<DocumentCase, 'bytes' | 'pageSeconds' | 'type'>,
  inChild = false,
) {
  const started = performance.now();
  await using run = await runJob(
    handler,
    { file_id: 'object:t/-/input', document_type: type },
    { inputs: { input: bytes }, env: { OCR_PAGE_SECONDS: `${pageSeconds}` }, ...(inChild ? { pool } : {}) },
  );
  const ms = performance.now() - started;
  const status =
    typeof run.result === 'object' && run.result !== null && 'status' in run.result ? run.result.status : undefined;
  const { outcome } = run;
  return { ms, got: outcome.state === 'done' ? String(status) : 'code' in outcome ? outcome.code : outcome.state, run };
}

/** Programs this process has started and not ended. */
async function tesseracts(): Promise<string[]> {
  const names = await readdir('/proc').catch(() => []);
  const lines = await Promise.all(
    names.filter((name) => /^\d+$/.test(name)).map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')),
  );
  return lines.filter(
    (line) => line.includes('(tesseract)') && line.split(') ')[1]?.split(' ')[1] === `${process.pid}`,
  );
}

boundCorpus('document-ocr');

test('there are about as many cases as were promised', () => {
  expect(cases.length).toBeGreaterThanOrEqual(corpora['document-ocr'].cases);
  expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
});

test.for(cases)('$name', async (one) => {
  const { ms, got } = await outcomeOf(one);
  expect(one.right).toContain(got);
  expect(ms).toBeLessThan(one.withinMs * crowding());
});

test('none has left a program behind', async () => {
  await expect.poll(tesseracts).toEqual([]);
});

test('forms that draw forms end in their child, not in the worker', async () => {
  const { got, ms } = await outcomeOf({ bytes: formPdf(30, 10) }, true);
  expect(['LIMIT_EXCEEDED', 'BAD_SOURCE', 'SANDBOX_OOM', 'SANDBOX_TIMEOUT', 'SANDBOX_CRASH', 'failed']).toContain(got);
  expect(ms).toBeLessThan(60_000);
  expect(process.memoryUsage().rss).toBeLessThan(2_000_000_000);
});

test('a document is read the same in a child', async () => {
  const one = cases.find(({ name }) => name === 'upright text');
  if (one === undefined) throw new Error('expected the case "upright text"');
  const [here, inChild] = [await outcomeOf(one), await outcomeOf(one, true)];
  expect(inChild.run.error).toBeUndefined();
  expect(inChild.run.result).toEqual(here.run.result);
});

test('a document is read by tesseract.js in a child, without a network', async () => {
  const one = cases.find(({ name }) => name === 'upright text');
  const handlerUrl = new URL('handler.ts', import.meta.url).href;
  const types = [{ name: job.name, handlerUrl, policy: job.policy, env: { ...env, OCR_ENGINE: 'tesseract.js' } }];
  const log = { warn: () => {}, error: () => {} };
  const own = await openPool({ types, base, spares: 0, environment: process.env, log });
  try {
    await using run = await runJob(
      handler,
      { file_id: 'object:t/-/input' },
      { inputs: { input: one?.bytes ?? new Uint8Array() }, pool: own },
    );
    expect(run.error).toBeUndefined();
    expect(run.result).toMatchObject({
      status: 'completed',
      extracted_data: { text: expect.stringMatching(/^The quick brown dog jumped over the lazy fox\./) },
    });
  } finally {
    await own.close();
  }
});
