import { afterAll, beforeAll, expect, test } from 'vitest';
import handler from '../jobs/news-aggregation/handler.ts';
import newsAggregation from '../jobs/news-aggregation/job.ts';
import { memoryDocuments } from '../runtime/documents-memory.ts';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { openReceiver, type Receiver } from '../tests/support/receivers.ts';
import { runJob } from '../workers/testing.ts';
import { createKeys } from './keys.ts';

const documents = memoryDocuments(newsAggregation.collections);
const headers: Record<string, Record<string, string>> = {};
let api: TestApi;
let publisher: Receiver;

interface Page {
  readonly items: readonly Record<string, unknown>[];
  readonly cursor: string | null;
}

beforeAll(async () => {
  publisher = await openReceiver((response, { path }) => {
    const items = [1, 2, 3, 4, 5].map(
      (n) =>
        `<item><guid>${path}${n}</guid><title>${n}</title><link>https://site.example/${n}</link><pubDate>0${n} Feb 2026 00:00:00 Z</pubDate></item>`,
    );
    response.end(`<rss version="2.0"><channel><title>${path}</title>${items.join('')}</channel></rss>`);
  });
  api = await openTestApi({ documents });
  const keys = createKeys({ records: api.backend.records, staticKey: undefined });
  for (const tenant of ['acme', 'other'])
    headers[tenant] = { authorization: `Bearer ${(await keys.create({ tenant, scopes: ['jobs'] })).key}` };
  for (const path of ['/a', '/b']) {
    const payload = { feedUrl: publisher.url + path, ...(path === '/a' && { follow: true }) };
    await using run = await runJob(handler, payload, { tenant: 'acme', documents, http: { allow: [publisher.host] } });
    expect(run.outcome).toEqual({ state: 'done' });
  }
});
afterAll(async () => {
  await api.close();
  await publisher.close();
  await documents.close();
});

const list = async (path: string, tenant = 'acme'): Promise<Page> => {
  const { status, json } = await api.call('GET', path, undefined, headers[tenant]);
  expect(status).toBe(200);
  return json as unknown as Page;
};

test('news come the newest first, page by page, a story of two feeds once', async () => {
  const titles: unknown[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const page = await list(`/v1/news?limit=2${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`);
    expect(page.items.length).toBeLessThanOrEqual(2);
    titles.push(...page.items.map(({ title }) => title));
    cursor = page.cursor;
  }
  expect(titles).toEqual(['5', '4', '3', '2', '1']);
});

test('a feed shows its own entries, told first or not, and how it is', async () => {
  const { items: feeds } = await list('/v1/feeds');
  expect(Object.fromEntries(feeds.map(({ url, isFollowed }) => [url, isFollowed]))).toEqual({
    [`${publisher.url}/a`]: true,
    [`${publisher.url}/b`]: false,
  });
  expect(feeds).toMatchObject([{ isDisabled: false, items: 5, failures: 0, format: 'rss' }, { lastError: null }]);
  const own = feeds.map(async ({ id, title }) => [title, (await list(`/v1/news?feed=${String(id)}`)).items.length]);
  expect(Object.fromEntries(await Promise.all(own))).toEqual({ '/a': 5, '/b': 5 });
});

test('another tenant sees none of it', async () => {
  expect(await list('/v1/news', 'other')).toEqual({ items: [], cursor: null });
  expect(await list('/v1/feeds', 'other')).toEqual({ items: [], cursor: null });
});

test.each(['limit=0', 'limit=101', 'feed=x', 'cursor=nonsense', 'q=1'])('%s is refused', async (query) => {
  const { status } = await api.call('GET', `/v1/news?${query}`, undefined, headers['acme']);
  expect(status).toBe(400);
});

test('without a store for documents the answer says so', async () => {
  const bare = await openTestApi();
  const { status, json } = await bare.call('GET', '/v1/news');
  await bare.close();
  expect(status).toBe(503);
  expect(json['detail']).toContain('MONGODB_URL');
});

test('is cached, and seen anew when a feed has brought something', async () => {
  const fetchFeed = async (path: string): Promise<void> => {
    const http = { allow: [publisher.host] };
    await using run = await runJob(handler, { feedUrl: publisher.url + path }, { tenant: 'acme', documents, http });
    expect(run.outcome).toEqual({ state: 'done' });
  };
  const kept = async (): Promise<number> => {
    const { items } = await documents.of('acme').page('cache', {});
    return items.filter(({ _id }) => _id.startsWith('news:')).length;
  };
  const before = await list('/v1/news?limit=100');
  expect(await list('/v1/news?limit=100')).toEqual(before);
  expect(await kept()).toBeGreaterThan(0);
  // Nothing new: what is cached stays.
  await fetchFeed('/a');
  expect(await kept()).toBeGreaterThan(0);
  publisher.respond((response) =>
    response.end(
      '<rss version="2.0"><channel><title>c</title><item><guid>c1</guid><title>fresh</title><link>https://site.example/c1</link></item></channel></rss>',
    ),
  );
  await fetchFeed('/c');
  expect(await kept()).toBe(0);
  const after = await list('/v1/news?limit=100');
  expect(after.items.map(({ title }) => title)).toEqual(['fresh', ...before.items.map(({ title }) => title)]);
});
