/** One feed: asked, read, stored. Apart from `handler.ts`, which loads it and its parsers with the first feed. */
import type { JobContext } from '../define.ts';
import { webAddress } from './canonical-url.ts';
import { cleanTitle } from './clean.ts';
import { decode } from './decode.ts';
import { distinct, makeEntry } from './entry.ts';
import { afterSuccess, changeFeed, knownFeed } from './feeds.ts';
import { fetchFeed } from './fetch.ts';
import { parse } from './parse.ts';
import { storeEntries } from './store.ts';

const counted = (unchanged: number) => ({ added: 0, updated: 0, unchanged, problems: [] });

/** Entries first, then the feed: a run that dies in between is repeated by the next, which finds everything stored. */
export async function refresh(feedUrl: string, { documents, http, log, progress }: JobContext) {
  const now = Date.now();
  const { feed } = await knownFeed(documents, feedUrl, now);
  const fetched = await fetchFeed(http, feed);
  if (fetched.kind === 'gone') {
    await changeFeed(documents, feedUrl, now, () => ({ isDisabled: true, lastError: 'HTTP_410' }));
    return {
      ...counted(0),
      problems: ['The server says that the feed is gone for good (HTTP 410). It is not fetched by itself any more.'],
    };
  }
  const { answer } = fetched;
  if (fetched.kind === 'same') {
    await changeFeed(documents, feedUrl, now, afterSuccess(now, answer.headers));
    return counted(feed.items);
  }
  progress(30, 'fetched');
  const { text, encoding } = decode(answer.body, answer.headers['content-type']);
  const parsed = parse(text, answer.url);
  log('feed read', { format: parsed.format, encoding, items: parsed.items.length });
  const { entries, repeated } = distinct(parsed.items.map((item) => makeEntry(feed._id, item, now)));
  const counts = await storeEntries(documents, entries, now);
  progress(90, 'stored');
  const title = cleanTitle(parsed.title.value, parsed.title.isHtml);
  const said = {
    title,
    link: webAddress(parsed.link, answer.url) ?? null,
    format: parsed.format,
    wishes: parsed.wishes,
    items: entries.length,
  };
  // Readers of what is cached see it now.
  if (counts.added + counts.updated > 0) await documents.removePrefix('cache', 'news:');
  await changeFeed(documents, feedUrl, now, afterSuccess(now, answer.headers, said));
  const undated = entries.filter(
    ({ published, dateQuality }) => published === null && dateQuality !== 'missing',
  ).length;
  return {
    ...counts,
    problems: [
      ...parsed.problems,
      ...(repeated > 0 ? [`Items that repeat the identity of another: ${repeated}; one of each was kept.`] : []),
      ...(undated > 0 ? [`Dates that cannot be used: ${undated}; the time of the first fetch stands for them.`] : []),
    ],
  };
}
