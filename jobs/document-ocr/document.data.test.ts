/**
 * A part of the documents of the shared test data as tesseract.js reads them. The engine of the machine, which is the
 * system's tesseract where that is installed, reads all of them in tests/media-fleet.data.test.ts.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type DocumentEntry, documentEntries } from '../../tests/support/document-corpus.ts';
import { compareDocument, isSure, type ReadDocument, receiptFields } from '../../tests/support/document-facts.ts';
import { sharedData } from '../../tests/support/shared-data.ts';
import { runJob } from '../../workers/testing.ts';
import handler from './handler.ts';
import job from './job.ts';

async function read({ file, type }: DocumentEntry): Promise<ReadDocument> {
  await using run = await runJob(
    handler,
    { file_id: 'object:t/-/input', document_type: type },
    {
      inputs: { input: await readFile(join(sharedData, file)) },
      env: { OCR_ENGINE: 'tesseract.js', OCR_PAGE_SECONDS: '300' },
    },
  );
  if (run.outcome.state === 'done') return { output: job.result.parse(run.result) };
  return { code: 'code' in run.outcome ? run.outcome.code : run.outcome.state };
}

const pages = ['ocr/phototest-rotated-L.png', 'ocr/simple.pbm', 'ocr/cosmic.png'];
const receipts = ['receipts/118.jpg'];
const chosen = documentEntries.filter(({ file }) => [...pages, ...receipts].includes(file));

const kept = new Map<string, Promise<ReadDocument>>();

async function readOnce(file: string): Promise<ReadDocument> {
  const entry = chosen.find((one) => one.file === file);
  if (entry === undefined) throw new Error(`${file} is not in the manifest`);
  const reading = kept.get(file) ?? read(entry);
  kept.set(file, reading);
  return reading;
}

describe.skipIf(documentEntries.length === 0)('by tesseract.js', () => {
  test('are here', () => {
    expect(chosen).toHaveLength(pages.length + receipts.length);
  });

  test.each(chosen)('$file', async (entry) => {
    const { wanted, found } = compareDocument(entry, await readOnce(entry.file));
    expect(found).toEqual(wanted);
  });

  test.each(receipts)('%s: two fields and more are sure', async (file) => {
    const got = await readOnce(file);
    expect(receiptFields(file, got.output).filter(isSure).length).toBeGreaterThanOrEqual(2);
  });
});
