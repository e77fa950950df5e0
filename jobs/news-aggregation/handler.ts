import { defineHandler, type JobContext } from '../define.ts';
import { JobError } from '../errors.ts';
import { webAddress } from './canonical-url.ts';
import { cleanTitle } from './clean.ts';
import { decode } from './decode.ts';
import { enqueueDue } from './due.ts';
import { distinct, makeEntry } from './entry.ts';
import { afterFailure, afterSuccess, changeFeed, knownFeed } from './feeds.ts';
import { fetchFeed } from './fetch.ts';
import newsAggregation from './job.ts';
import { parse } from './parse.ts';
import { storeEntries } from './store.ts';

const nothing = { added: 0, updated: 0, unchanged: 0, problems: [] };

export default defineHandler(newsAggregation, {
  async run({ feedUrl, follow }, ctx) {
    if (feedUrl === undefined) return { ...nothing, feeds: await enqueueDue(ctx, Date.now()) };
    // Before the fetch: a feed that fails today is followed all the same.
    if (follow !== undefined) await changeFeed(ctx.documents, feedUrl, Date.now(), () => ({ isFollowed: follow }));
    if (follow === false) return nothing;
    try {
      return await refresh(feedUrl, ctx);
    } catch (error) {
      await note(error, feedUrl, ctx);
      throw error;
    }
  },
});

/** Entries first, then the feed: a run that dies in between is repeated by the next, which finds everything stored. */
async function refresh(feedUrl: string, { documents, http, log, progress }: JobContext) {
  const now = Date.now();
  const { feed } = await knownFeed(documents, feedUrl, now);
  const fetched = await fetchFeed(http, feed);
  if (fetched.kind === 'gone') {
    await changeFeed(documents, feedUrl, now, () => ({ isDisabled: true, lastError: 'HTTP_410' }));
    return {
      ...nothing,
      problems: ['The server says that the feed is gone for good (HTTP 410). It is not fetched by itself any more.'],
    };
  }
  const { answer } = fetched;
  if (fetched.kind === 'same') {
    await changeFeed(documents, feedUrl, now, afterSuccess(now, answer.headers));
    return { ...nothing, unchanged: feed.items };
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

/** A failure that ends the job, or puts it off, makes the feed rarer; one that is retried in a moment does not. */
async function note(
  error: unknown,
  feedUrl: string,
  { documents, attempt, maxAttempts, signal }: JobContext,
): Promise<void> {
  if (signal.aborted) return;
  const verdict = error instanceof JobError ? error.verdict : undefined;
  const isFinal = verdict?.kind === 'dead' || verdict?.kind === 'later' || attempt >= maxAttempts;
  if (!isFinal) return;
  const message = error instanceof JobError ? `${error.code}: ${error.message}` : 'UNEXPECTED';
  const delayMs = verdict?.kind === 'later' ? verdict.delayMs : 0;
  const now = Date.now();
  await changeFeed(documents, feedUrl, now, afterFailure(now, message, delayMs));
}
