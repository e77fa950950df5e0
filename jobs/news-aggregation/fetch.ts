/** Asks the server of a feed, and only for what is new since the last time. */
import { giveUp, retry, tryAgainIn } from '../errors.ts';
import type { HttpAnswer, JobHttp } from '../ports.ts';
import type { Feed } from './feeds.ts';

const maxBytes = 5 * 1_024 * 1_024;
const timeoutMs = 15_000;
const redirects = 3;
/** After 429 or 503 without a Retry-After, and what such a wish may come to at most. */
const pauseMs = 15 * 60_000;
const longestPauseMs = 24 * 3_600_000;

export type Fetched =
  | { readonly kind: 'fresh'; readonly answer: HttpAnswer }
  /** 304: nothing has changed since. */
  | { readonly kind: 'same'; readonly answer: HttpAnswer }
  /** 410: it will not come back. */
  | { readonly kind: 'gone' };

/**
 * Later (no attempt spent) after 429 and 503, retried after other 5xx and 408, a dead letter `HTTP_<status>` after
 * everything else that is no success.
 */
export async function fetchFeed(http: JobHttp, feed: Feed): Promise<Fetched> {
  const answer = await http({
    url: feed.url,
    headers: {
      accept:
        'application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1',
      ...(feed.etag === null ? {} : { 'if-none-match': feed.etag }),
      ...(feed.lastModified === null ? {} : { 'if-modified-since': feed.lastModified }),
    },
    maxBytes,
    timeoutMs,
    redirects,
  });
  const { status } = answer;
  if (status === 304) return { kind: 'same', answer };
  if (status === 410) return { kind: 'gone' };
  if (status >= 200 && status < 300) return { kind: 'fresh', answer };
  const code = `HTTP_${status}`;
  if (status === 429 || status === 503) {
    const waitMs = Math.min(answer.retryAfterMs ?? pauseMs, longestPauseMs);
    throw tryAgainIn(
      waitMs,
      code,
      `The server of the feed is busy (HTTP ${status}); asked again in ${Math.ceil(waitMs / 1_000)} s.`,
    );
  }
  if (status >= 500 || status === 408) throw retry(code, `The server of the feed failed with HTTP ${status}.`);
  throw giveUp(code, `The server of the feed answered HTTP ${status} instead of the feed.`);
}
