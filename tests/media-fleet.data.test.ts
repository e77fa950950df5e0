/**
 * Every picture and every document of the shared data through a real fleet, from the client to the object store: each
 * ends as its manifest row says. On the embedded store; MEDIA_FLEET=all runs it on PostgreSQL and Redis as well.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import documentOcr from '../jobs/document-ocr/job.ts';
import imageProcessing from '../jobs/image-processing/job.ts';
import type { JobStatus } from '../producers/client.ts';
import {
  allowedErrors,
  type DocumentEntry,
  documentData,
  documentEntries,
  errorRate,
  goldOf,
  xmlFacts,
} from './support/document-corpus.ts';
import { openStage, type Stage } from './support/fleet.ts';
import { expectedOf, imageData, imageEntries, sizesOf } from './support/image-corpus.ts';
import { redisIfHere } from './support/redis-database.ts';

const stores =
  process.env['MEDIA_FLEET'] === 'all' ? ['embedded', 'postgres', ...redisIfHere('media-fleet')] : ['embedded'];
const documents = documentEntries.filter(({ file }) =>
  /^(?:invoices|ocr|receipts)\/.*\.(?!txt$|json$|csv$)/.test(file),
);
const pages = documents.filter(({ facts }) => facts?.cer_psm1 !== undefined);
const types = { invoices: 'invoice', ocr: 'document', receipts: 'receipt' } as const;

function typeOf({ file }: DocumentEntry): 'document' | 'invoice' | 'receipt' {
  const folder = file.split('/')[0];
  return folder === 'invoices' || folder === 'ocr' || folder === 'receipts' ? types[folder] : 'document';
}

async function put(stage: Stage, data: string, file: string): Promise<string> {
  const key = `t/-/in/${file}`;
  await stage.objects.put(key, await readFile(join(data, file)), { contentType: 'application/octet-stream' });
  return `object:${key}`;
}

describe.skipIf(imageEntries.length === 0).each(stores)('the media of the shared data, in a fleet on %s', (store) => {
  let stage: Stage;
  const ids = new Map<string, string>();
  const ended = (file: string): Promise<JobStatus> => stage.reaches(ids.get(file) ?? '', 'completed', 'failed');
  beforeAll(async () => {
    stage = await openStage(store, 'real');
    await stage.start({ QUEUES: 'image-processing,document-ocr', OCR_PAGE_SECONDS: '300' });
    const { client } = await stage.open();
    for (const { file } of imageEntries)
      ids.set(file, (await client.enqueue(imageProcessing, { source: await put(stage, imageData, file) })).id);
    for (const entry of documents) {
      const payload = { file_id: await put(stage, documentData, entry.file), document_type: typeOf(entry) };
      ids.set(entry.file, (await client.enqueue(documentOcr, payload)).id);
    }
  });
  afterAll(() => stage.close());

  it.each(imageEntries)('$file', { timeout: 120_000 }, async (entry) => {
    const { error, result, status } = await ended(entry.file);
    const variants = status === 'completed' ? imageProcessing.result.parse(result).variants : [];
    expect(error?.code ?? sizesOf(variants)).toBe(expectedOf(entry));
    for (const { bytes, key } of variants)
      expect((await stage.objects.head(key.replace('object:', '')))?.sizeBytes).toBe(bytes);
  });

  it.each(documents)('$file', { timeout: 120_000 }, async (entry) => {
    const { error, result } = await ended(entry.file);
    const isEncrypted = entry.file.includes('password');
    expect(error?.code).toBe(isEncrypted ? 'BAD_SOURCE' : undefined);
    expect(documentOcr.result.safeParse(result).success).toBe(!isEncrypted);
  });

  it.each(pages)('$file: its text', async (entry) => {
    const { extracted_data: data } = documentOcr.result.parse((await ended(entry.file)).result);
    expect(errorRate(data['text'] ?? '', goldOf(entry))).toBeLessThanOrEqual(allowedErrors(entry));
  });

  it.each(documents.filter(({ facts, file }) => facts?.xml !== undefined || file.endsWith('.xml')))(
    '$file: number and total of its XML',
    async ({ facts, file }) => {
      const xml = file.endsWith('.xml') ? xmlFacts.parse(facts) : facts?.xml;
      const { extracted_data: data } = documentOcr.result.parse((await ended(file)).result);
      expect([data['invoice_number'], data['total_amount']]).toEqual([xml?.number, xml?.gross]);
    },
  );
});
