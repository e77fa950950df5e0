/** `/v1/news`, `/v1/feeds`: what `news-aggregation` has gathered, and how its feeds are. */
import { z } from 'zod';
import type { DocumentPage, Documents } from '../runtime/documents.ts';
import { answerCached } from '../runtime/result-cache.ts';
import { askDocuments, documentsOf, storeMissing } from './kept-documents.ts';
import { defineRoute, noBody, nothing, pageLimit, type Route } from './route.ts';

export interface NewsRouteParts {
  /** Undefined where nothing keeps documents. */
  readonly documents?: Documents | undefined;
}

const entry = z.object({
  id: z.string(),
  feed: z.string().describe('Id of the feed: see GET /v1/feeds.'),
  story: z.string().describe('The same for the same story in every feed that links it.'),
  title: z.string().describe('Plain text: escape it.'),
  summary: z.string().describe('HTML without scripts, styles, images and forms.'),
  url: z.string().nullable(),
  authors: z.array(z.string()),
  categories: z.array(z.string()),
  date: z.string().describe('RFC 3339: when it was published, else when it was first seen.'),
  dateQuality: z.string(),
  firstSeenAt: z.string(),
  revision: z.int(),
});
const feed = z.object({
  id: z.string(),
  url: z.string(),
  title: z.string(),
  link: z.string().nullable(),
  format: z.string().nullable(),
  isFollowed: z.boolean(),
  isDisabled: z.boolean().describe('Its server answered 410. A fetch that succeeds enables it again.'),
  nextAt: z.string().describe('When a followed feed is fetched again; RFC 3339.'),
  fetchedAt: z.string().nullable(),
  items: z.int().describe('Entries of its last answer.'),
  failures: z.int().describe('In a row.'),
  lastError: z.string().nullable(),
});
const id = z.string().regex(/^[0-9a-f]{24}$/, 'expected the id of a feed');
const paging = {
  limit: pageLimit(),
  cursor: z.string().min(1).max(4_000).optional().describe('From the page before.'),
};
const common = { method: 'GET', tag: 'news', scope: 'jobs', params: nothing, body: noBody } as const;
const pageOf = <T extends z.ZodType>(items: T) => ({
  description: 'A page.',
  schema: z.object({ items: z.array(items), cursor: z.string().nullable() }),
});

export function newsRoutes({ documents }: NewsRouteParts): Route[] {
  return [newsRoute(documents), feedsRoute(documents)];
}

function newsRoute(documents: Documents | undefined): Route {
  return defineRoute({
    ...common,
    path: '/v1/news',
    operationId: 'listNews',
    summary:
      'News, the newest first, each story once; with `feed` everything of that feed. Cached for at most 5 minutes, and until a feed brings something.',
    query: z.strictObject({ feed: id.optional().describe('Only this feed.'), ...paging }),
    answers: { 200: pageOf(entry), ...storeMissing },
    handle: async ({ query, credential }) => {
      const own = documentsOf(documents, credential.tenant);
      const read = () =>
        own.page('news', {
          filter: query.feed === undefined ? { isLead: true } : { feed: query.feed },
          sort: [{ field: 'date', descending: true }],
          limit: Number(query.limit),
          after: query.cursor,
        });
      const body = await askDocuments(() =>
        answerCached(own, { topic: 'news', keep: 'short', asked: query }, async () => {
          const page = await read();
          const items = page.items.map(({ _id, ...rest }) => entry.parse({ ...rest, id: _id }));
          const isStill = async () => versionsOf(await read()) === versionsOf(page);
          return { answer: { items, cursor: page.next ?? null }, isStill };
        }),
      );
      return { status: 200, body };
    },
  });
}

function versionsOf({ items }: DocumentPage): string {
  return items.map(({ _id, _version }) => `${_id} ${_version}`).join('\n');
}

function feedsRoute(documents: Documents | undefined): Route {
  return defineRoute({
    ...common,
    path: '/v1/feeds',
    operationId: 'listFeeds',
    summary: 'Feeds that were ever fetched in the last year, and whether they are followed.',
    query: z.strictObject(paging),
    answers: { 200: pageOf(feed), ...storeMissing },
    handle: async ({ query, credential }) => {
      const page = await askDocuments(() =>
        documentsOf(documents, credential.tenant).page('feeds', { limit: Number(query.limit), after: query.cursor }),
      );
      const items = page.items.map(({ _id, ...rest }) => feed.parse({ ...rest, id: _id }));
      return { status: 200, body: { items, cursor: page.next ?? null } };
    },
  });
}
