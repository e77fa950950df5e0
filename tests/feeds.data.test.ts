/**
 * Every feed of the shared test data through a whole fleet: added over HTTP, fetched by a worker process, kept as documents.
 * Twice, and the second time stores nothing. Then what `domain-examples.json` says of dates, identity and addresses.
 * Prints the table file, expected, got.
 */
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { canonicalUrl } from '../jobs/news-aggregation/canonical-url.ts';
import { cleanTitle } from '../jobs/news-aggregation/clean.ts';
import newsAggregation from '../jobs/news-aggregation/job.ts';
import { type FreshStore, storeChoices } from './support/fresh-stores.ts';
import { openReceiver, type Receiver } from './support/receivers.ts';
import { inputsOf, printRows, sharedData, sharedEntries } from './support/shared-data.ts';
import { type JobAnswer, openWholeFleet, type WholeFleet } from './support/whole-fleet.ts';

const isHere = sharedEntries.length > 0;

const facts = z.looseObject({
  format: z.string().nullish(),
  encoding: z.string().optional(),
  title: z.string().nullish(),
  distinct_ids: z.number().optional(),
  expected_title: z.string().optional(),
  first: z
    .object({ title: z.string(), link: z.string(), id: z.string(), date: z.string().nullable() })
    .partial()
    .optional(),
});
const examplesSchema = z.object({
  feed_dates: z.object({
    cases: z.array(z.object({ title: z.string(), expect: z.string() })),
    date_parse_traps: z.object({ cases: z.array(z.tuple([z.string(), z.string()])) }),
  }),
  feed_identity: z.object({
    cases: z.array(
      z.object({
        file: z.string(),
        distinct: z.number().optional(),
        url: z.string().nullish(),
        id: z.string().optional(),
        why: z.string().optional(),
      }),
    ),
  }),
  url_canonical: z.object({ cases: z.array(z.tuple([z.string(), z.string().nullable(), z.string().nullable()])) }),
});
const feeds = inputsOf(newsAggregation.name).map((file) => ({
  file: file.slice('feeds/'.length),
  facts: facts.parse(sharedEntries.find((one) => one.file === file)?.facts),
}));
const examples = isHere
  ? examplesSchema.parse(JSON.parse(await readFile(join(sharedData, 'domain-examples.json'), 'utf8')))
  : undefined;

/** What must become of a file; `n` = so many distinct entries. */
function expectedOf({ file, facts: said }: (typeof feeds)[number]): string {
  // Results of other parsers, kept as JSON beside their feeds, without the shape of a JSON Feed; one has it.
  if (extname(file) === '.json') return file.startsWith('json11_full') ? '1' : 'BAD_SOURCE';
  // A bare `<rss>` in UTF-16: decoded, and then without version or channel.
  if (said.format == null || said.encoding?.startsWith('utf-16') === true) return 'BAD_SOURCE';
  // Its one entry holds nothing that could be kept.
  return file === 'incomplete-fields.atom' ? '0' : String(said.distinct_ids ?? 0);
}

const item = z.looseObject({
  _id: z.string(),
  title: z.string(),
  url: z.string().nullable(),
  guid: z.string().nullable(),
  published: z.string().nullable(),
  dateQuality: z.string(),
});

describe.skipIf(!isHere).each(storeChoices('feeds'))('the feed corpus on $name', ({ name, open }) => {
  let receiver: Receiver;
  let store: FreshStore;
  let fleet: WholeFleet;
  const traps = examples?.feed_dates.date_parse_traps.cases ?? [];
  beforeAll(async () => {
    receiver = await openReceiver(async (response, { path }) => {
      if (path === '/traps')
        return response.end(
          `<rss version="2.0"><channel><title>T</title>${traps.map(([date], n) => `<item><guid>${n}</guid><pubDate>${date}</pubDate></item>`).join('')}</channel></rss>`,
        );
      return response.end(await readFile(join(sharedData, 'feeds', path.slice(1))));
    });
    store = await open();
    fleet = await openWholeFleet({ store, queues: [newsAggregation.name], env: { HTTP_ALLOW: receiver.host } });
  });
  afterAll(async () => {
    await fleet.close();
    await store.drop();
    await receiver.close();
  });

  const urlOf = (file: string): string => `${receiver.url}/${file}`;
  const fetchAll = async (files: readonly string[], more: object = {}): Promise<JobAnswer[]> => {
    const ids = [];
    for (const file of files) ids.push(await fleet.add(newsAggregation.name, { feedUrl: urlOf(file), ...more }));
    const answers = [];
    for (const id of ids) answers.push(await fleet.ended(id, 120_000));
    return answers;
  };
  const stored = async () => {
    const own = fleet.documents;
    const ids = new Map((await own.page('feeds', { limit: 1_000 })).items.map(({ _id, url }) => [_id, String(url)]));
    const { items } = await own.page('news', { limit: 1_000 });
    return items.map((one) => ({
      file: ids.get(String(one['feed']))?.slice(receiver.url.length + 1),
      ...item.parse(one),
    }));
  };
  const of = async (file: string) => (await stored()).filter((one) => one.file === file);

  test('ends as it must, file by file, and once more without storing anything', async () => {
    expect(feeds.length).toBe(49);
    const files = feeds.map(({ file }) => file);
    const got = async () =>
      (await fetchAll(files)).map(({ error, result }) => {
        if (error !== null) return error.code;
        const { added, updated, unchanged } = newsAggregation.result.parse(result);
        return { added, updated, unchanged };
      });
    const first = await got();
    const rows = feeds.map((feed, at) => {
      const one = first[at];
      const was = typeof one === 'object' ? String(one.added) : String(one);
      return { file: `feeds/${feed.file}`, expected: expectedOf(feed), got: was };
    });
    printRows(`feeds on ${name}`, rows);
    expect(rows.map(({ file, got: was }) => [file, was])).toEqual(rows.map(({ file, expected }) => [file, expected]));
    const before = await stored();
    expect(before.length).toBe(rows.reduce((sum, { expected }) => sum + (Number(expected) || 0), 0));
    const second = await got();
    expect(second).toEqual(
      first.map((one) => (typeof one === 'object' ? { added: 0, updated: 0, unchanged: one.added } : one)),
    );
    expect(await stored()).toEqual(before);
  });

  test.each(feeds.filter(({ facts: said }) => said.first !== undefined))(
    '$file: title, link, id and date of its first entry',
    async ({ file, facts: said }) => {
      const { title = '', link = '', id = null, date = null } = said.first ?? {};
      const isWeb = URL.canParse(link, urlOf(file)) && !link.startsWith('tag:');
      const known = (await of(file)).map(({ title: text, url, guid, published }) => ({
        title: text,
        url,
        guid,
        ...(date === null ? {} : { published }),
      }));
      const wanted = {
        title: cleanTitle(said.expected_title ?? title, true),
        url: isWeb && link !== '' ? new URL(link, urlOf(file)).href : null,
        guid: id,
        ...(date === null ? {} : { published: date }),
      };
      // What was cut off in the middle of a title leaves something of it.
      const isCut = file === 'rss_incomplete_cdata.xml';
      const found = known.filter((one) => isDeepStrictEqual(one, isCut ? { ...wanted, title: '[CD' } : wanted));
      expect({ found: found.length, known }).toEqual({ found: file === 'incomplete-fields.atom' ? 0 : 1, known });
    },
  );

  test.each(examples?.feed_dates.cases ?? [])('the date "$title"', async ({ title, expect: instant }) => {
    const [one] = (await of('everything.xml')).filter((known) => known.title === title);
    // Three may be anything that is marked; the last lies in the future for the rest of this century.
    const isFree = instant.startsWith('any');
    const isFuture = Date.parse(instant) > Date.now();
    const isDay = /^2006-02-(?:09|10)T/.test(one?.published ?? '');
    expect([isFree ? isDay : one?.published, one?.dateQuality]).toEqual([
      isFree || (isFuture ? null : instant),
      isFuture ? 'future' : isFree ? 'zone-assumed' : 'exact',
    ]);
  });

  test('the seven dates that Date.parse gets wrong', async () => {
    const [status] = await fetchAll(['traps']);
    expect(status?.result).toMatchObject({ added: 7 });
    const known = (await of('traps')).toSorted((a, b) => Number(a.guid) - Number(b.guid));
    expect(known.map(({ published, dateQuality }) => [published, dateQuality])).toEqual([
      [null, 'impossible'],
      ['2006-07-19T13:08:26Z', 'weekday-wrong'],
      ['2018-09-24T22:42:40Z', 'exact'],
      ['1994-11-06T07:49:37Z', 'exact'],
      ['2009-08-19T12:58:00Z', 'exact'],
      ['2015-04-30T06:57:00Z', 'exact'],
      ['2003-12-31T10:14:55Z', 'zone-assumed'],
    ]);
  });

  test('a feed that is followed and due is fetched by a job that the schedule adds', async () => {
    const own = fleet.documents;
    const asked = () => receiver.received.filter(({ path }) => path === '/heise.atom').length;
    const [followed] = await fetchAll(['heise.atom'], { follow: true });
    expect(followed?.result).toMatchObject({ added: 0, unchanged: 15 });
    const known = (await own.page('feeds', { limit: 1_000 })).items.find(({ url }) => url === urlOf('heise.atom'));
    expect(known).toMatchObject({ isFollowed: true, isDisabled: false });
    await own.put('feeds', { ...known, _id: String(known?._id), nextAt: '2026-01-01T00:00:00.000Z' });
    const before = asked();
    expect((await fleet.run(newsAggregation.name, {})).result).toMatchObject({ feeds: 1 });
    await vi.waitFor(() => expect(asked()).toBe(before + 1), 30_000);
  });

  test.each(examples?.feed_identity.cases ?? [])('identity: $file $why', async ({ file, distinct, url, id }) => {
    const known = await of(file.slice('feeds/'.length));
    expect(known.length).toBe(distinct ?? (file.endsWith('gulp-atom.atom') ? 10 : 1));
    expect(known[0]).toMatchObject({
      ...(url === undefined ? {} : { url }),
      ...(id === undefined ? {} : { guid: id }),
    });
    // A relative link, and an identity that is no address.
    expect(known.every((one) => one.url === null || /^https?:\/\//.test(one.url))).toBe(true);
  });
});

describe.skipIf(!isHere)('[url_canonical]', () => {
  test.each(examples?.url_canonical.cases ?? [])('%s', (link, base, canonical) => {
    expect(canonicalUrl(link, base ?? undefined) ?? null).toBe(canonical);
  });

  test('is all there, with the dates and identities', () => {
    expect(examples?.url_canonical.cases.length).toBe(20);
    expect(examples?.feed_dates.cases.length).toBe(30);
    expect(examples?.feed_dates.date_parse_traps.cases.length).toBe(7);
    expect(examples?.feed_identity.cases.length).toBe(11);
  });
});
