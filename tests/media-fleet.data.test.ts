/**
 * Every picture, document and video of the shared data through a whole fleet: uploaded over HTTP, run by a worker process,
 * read over HTTP and from the object store. Each ends as its manifest row says. On the embedded store; DATA_STORES=all
 * runs it on PostgreSQL and on Redis as well, which takes three times as long.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import documentOcr from '../jobs/document-ocr/job.ts';
import imageProcessing from '../jobs/image-processing/job.ts';
import videoTranscoding from '../jobs/video-transcoding/job.ts';
import { documentEntries } from './support/document-corpus.ts';
import { compareDocument, isSure, type ReadDocument, receiptFields } from './support/document-facts.ts';
import { type FreshStore, storeChoicesIfAsked } from './support/fresh-stores.ts';
import { download } from './support/hls.ts';
import { expectedOf as expectedSizes, faultsOf, imageEntries, sizesOf } from './support/image-corpus.ts';
import { folderOf, printRows, type Row, sharedData, sharedEntries } from './support/shared-data.ts';
import { expectedOf, namedBy, renditionsOf, videoEntries } from './support/video-corpus.ts';
import { play } from './support/video-play.ts';
import { type FleetTenant, type JobAnswer, openWholeFleet, type WholeFleet } from './support/whole-fleet.ts';

/** All are added at once: the last waits for all others. */
const waitMs = 900_000;
const timeout = { timeout: waitMs };

describe.skipIf(sharedEntries.length === 0).each(storeChoicesIfAsked('media-fleet'))('on $name', ({ name, open }) => {
  let store: FreshStore;
  let fleet: WholeFleet;
  const rows: Row[] = [];
  const added = new Map<string, { readonly by: FleetTenant; readonly id: string; readonly source: string }>();
  const ended = (file: string): Promise<JobAnswer> => {
    const { by = fleet, id = '' } = added.get(file) ?? {};
    return by.ended(id, waitMs);
  };
  const add = async (file: string, by: FleetTenant, type: string, payloadOf: (source: string) => object) => {
    const source = await by.upload(file.slice(file.indexOf('/') + 1), await readFile(join(sharedData, file)));
    added.set(file, { by, id: await by.add(type, payloadOf(source)), source });
  };

  beforeAll(async () => {
    store = await open();
    const queues = ['document-ocr', 'image-processing', 'video-transcoding'];
    fleet = await openWholeFleet({ store, queues, env: { OCR_PAGE_SECONDS: '300' } });
    for (const { file } of imageEntries) await add(file, fleet, 'image-processing', (source) => ({ source }));
    // A company may have 20 documents an hour read: each folder is one.
    const companies = new Map<string, FleetTenant>();
    for (const { file, type } of documentEntries) {
      const company = folderOf(file);
      const by = companies.get(company) ?? (await fleet.of(company));
      companies.set(company, by);
      await add(file, by, 'document-ocr', (source) => ({ file_id: source, document_type: type }));
    }
    for (const { file } of videoEntries)
      await add(file, fleet, 'video-transcoding', (source) => ({ video_url: source, user_id: 'user_1' }));
  });
  afterAll(async () => {
    printRows(`media on ${name}`, rows);
    await fleet.close();
    await store.drop();
  });

  it.each(imageEntries)('$file', timeout, async (entry) => {
    const { error, result } = await ended(entry.file);
    const variants = error === null ? imageProcessing.result.parse(result).variants : [];
    const [expected, got] = [expectedSizes(entry), error?.code ?? sizesOf(variants)];
    rows.push({ file: entry.file, expected, got });
    expect(got).toBe(expected);
    for (const variant of variants) expect(await faultsOf(fleet.objects, variant)).toEqual([]);
  });

  const readOf = async (file: string): Promise<ReadDocument> => {
    const { error, result } = await ended(file);
    return error === null ? { output: documentOcr.result.parse(result) } : { code: error.code };
  };

  it.each(documentEntries)('$file', timeout, async (entry) => {
    const { expected, got, wanted, found } = compareDocument(entry, await readOf(entry.file));
    rows.push({ file: entry.file, expected, got });
    expect(found).toEqual(wanted);
  });

  it('of the fields of receipts reported at 0.85 or more 97 % equal the key, and they are many', timeout, async () => {
    const receipts = documentEntries.filter(({ type }) => type === 'receipt');
    const fields = [];
    for (const { file } of receipts) fields.push(...receiptFields(file, (await readOf(file)).output));
    const sure = fields.filter(isSure);
    const right = sure.filter(({ want, got }) => want === got);
    process.stdout.write(
      `${name}: of ${fields.length} labelled fields ${sure.length} reach 0.85, ${right.length} right\n`,
    );
    expect(right.length / sure.length).toBeGreaterThanOrEqual(0.97);
    expect(sure.length).toBeGreaterThanOrEqual(28);
  });

  describe('videos', () => {
    let root = '';
    beforeAll(async () => {
      root = await mkdtemp(join(tmpdir(), 'jobfleet-seen-'));
    });
    afterAll(() => rm(root, { recursive: true, force: true }));

    it.each(videoEntries)('$file', timeout, async (entry) => {
      const { error, result } = await ended(entry.file);
      const made = error === null ? videoTranscoding.result.parse(result) : undefined;
      const [expected, got] = [expectedOf(entry), made === undefined ? `dead ${error?.code}` : renditionsOf(made)];
      rows.push({ file: entry.file, expected, got });
      expect(got).toBe(expected);
      if (made === undefined) return;
      const folder = `${made.playlist.slice('object:'.length).split('/').slice(0, 4).join('/')}/`;
      const own = join(root, folder.slice('t/-/'.length));
      const keys = await download(fleet.objects, folder, own);
      await play(root, made, entry);
      const below = folder.slice('t/-/'.length);
      expect(keys.map((key) => below + key).toSorted()).toEqual((await namedBy(root, made)).toSorted());
    });
  });

  it('is every picture, document and video', () => {
    expect(rows).toHaveLength(48 + 51 + 28);
  });
});
