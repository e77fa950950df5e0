/** What is known of a feed: how to ask for it, when, and how it went. Collection `feeds`. */
import { z } from 'zod';
import type { JobDocuments } from '../ports.ts';
import { hash } from './identity.ts';
import { nextAfterFailure, nextAt, noWishes, type Wishes } from './pace.ts';

const wishes = z.object({
  ttl: z.number().optional(),
  periodMinutes: z.number().optional(),
  skipHours: z.array(z.number()).readonly(),
  skipDays: z.array(z.string()).readonly(),
});

const feedSchema = z.object({
  _id: z.string(),
  url: z.string(),
  title: z.string(),
  link: z.string().nullable(),
  format: z.string().nullable(),
  isFollowed: z.boolean(),
  /** Its server said that it is gone (410). A fetch that succeeds enables it again. */
  isDisabled: z.boolean(),
  /** RFC 3339. */
  nextAt: z.string(),
  fetchedAt: z.string().nullable(),
  etag: z.string().nullable(),
  lastModified: z.string().nullable(),
  wishes,
  /** Entries of the last answer. */
  items: z.number(),
  /** In a row. */
  failures: z.number(),
  lastError: z.string().nullable(),
});

export type Feed = z.output<typeof feedSchema>;

export interface KnownFeed {
  readonly feed: Feed;
  /** 0: not stored yet. */
  readonly version: number;
}

/** As the payload names it, without a fragment; two spellings of one address are two feeds. */
function feedId(feedUrl: string): string {
  return hash(feedUrl).slice(0, 24);
}

/** The feed as stored, or a new one that is due now. */
export async function knownFeed(documents: JobDocuments, feedUrl: string, now: number): Promise<KnownFeed> {
  const url = addressOf(feedUrl);
  const stored = await documents.get('feeds', feedId(url));
  if (stored !== undefined) return { feed: feedSchema.parse(stored), version: stored._version };
  const feed = {
    _id: feedId(url),
    url,
    title: '',
    link: null,
    format: null,
    isFollowed: false,
    isDisabled: false,
    nextAt: new Date(now).toISOString(),
    fetchedAt: null,
    etag: null,
    lastModified: null,
    wishes: noWishes,
    items: 0,
    failures: 0,
    lastError: null,
  };
  return { feed, version: 0 };
}

function addressOf(feedUrl: string): string {
  const url = new URL(feedUrl);
  url.hash = '';
  return url.href;
}

type Change = (feed: Feed) => Partial<Omit<Feed, '_id' | 'url'>>;

/** Writes the change over whatever stands there now: a job of the schedule may have written in between. */
export async function changeFeed(documents: JobDocuments, feedUrl: string, now: number, change: Change): Promise<Feed> {
  for (;;) {
    const { feed, version } = await knownFeed(documents, feedUrl, now);
    const next = { ...feed, ...change(feed) };
    if (await documents.put('feeds', next, { version })) return next;
  }
}

/** After an answer with or without news. `said` is what the body said, absent for 304. */
export function afterSuccess(
  now: number,
  headers: Readonly<Record<string, string>>,
  said?: {
    readonly title: string;
    readonly link: string | null;
    readonly format: string;
    readonly wishes: Wishes;
    readonly items: number;
  },
): Change {
  return (feed) => {
    const kept = said?.wishes ?? feed.wishes;
    return {
      ...said,
      // A 304 need not repeat them.
      etag: headerOf(headers, 'etag') ?? (said === undefined ? feed.etag : null),
      lastModified: headerOf(headers, 'last-modified') ?? (said === undefined ? feed.lastModified : null),
      isDisabled: false,
      fetchedAt: new Date(now).toISOString(),
      nextAt: nextAt(now, kept, headers),
      failures: 0,
      lastError: null,
    };
  };
}

export function afterFailure(now: number, message: string, notBeforeMs?: number): Change {
  return ({ failures }) => ({
    nextAt: nextAfterFailure(now, failures + 1, notBeforeMs),
    failures: failures + 1,
    lastError: message.slice(0, 300).toWellFormed(),
  });
}

/** Long ones are no validators but an attempt to be sent back. */
function headerOf(headers: Readonly<Record<string, string>>, name: string): string | undefined {
  const value = headers[name];
  return value === undefined || value.length > 500 || !/^[\x20-\x7e]+$/.test(value) ? undefined : value;
}
