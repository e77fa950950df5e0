/** The four formats in one shape. What a parser leaves out stays undefined; nothing is cleaned or judged here. */
import type { AtomFeed, JsonFeed, RdfFeed, RssFeed } from 'feedsmith';
import { parseUrl } from './canonical-url.ts';
import { noWishes, type Wishes } from './pace.ts';

export interface FeedItem {
  readonly guid: string | undefined;
  readonly isPermalink: boolean;
  readonly link: string | undefined;
  /** What relative links of this item are relative to. */
  readonly base: string;
  readonly title: Text;
  readonly summary: Text;
  /** As written. */
  readonly date: string | undefined;
  /** As written; says which of two revisions is the newer one. */
  readonly updated: string | undefined;
  readonly authors: readonly string[];
  readonly categories: readonly string[];
}

interface Text {
  readonly value: string;
  /** Else plain text, in which `<` is a character like any other. */
  readonly isHtml: boolean;
}

export interface ParsedFeed {
  readonly format: 'rss' | 'rdf' | 'atom' | 'json';
  readonly title: Text;
  /** Of the site; as written. */
  readonly link: string | undefined;
  readonly wishes: Wishes;
  readonly items: readonly FeedItem[];
  readonly problems: readonly string[];
}

const html = (value: string | undefined): Text => ({ value: value ?? '', isHtml: true });
const text = (value: string | undefined): Text => ({ value: value ?? '', isHtml: false });
const periodMinutes: Readonly<Record<string, number>> = {
  hourly: 60,
  daily: 1_440,
  weekly: 10_080,
  monthly: 43_200,
  yearly: 525_600,
};

export function fromRss(feed: RssFeed.Feed<string>, url: string): ParsedFeed {
  const base = within(url, feed.xml?.base);
  const wishes: Wishes = {
    ...noWishes,
    ttl: feed.ttl,
    periodMinutes: periodOf(feed.sy),
  };
  const items = (feed.items ?? []).map(
    (item): FeedItem => ({
      guid: item.guid?.value,
      isPermalink: item.guid?.isPermaLink !== false,
      link: item.link ?? alternate(item.atom?.links),
      base: within(base, item.xml?.base),
      title: html(item.title ?? item.dc?.titles?.[0]),
      summary: html(item.description ?? item.content?.encoded),
      date: item.pubDate ?? item.dc?.dates?.[0] ?? item.atom?.published ?? item.atom?.updated,
      updated: item.atom?.updated,
      authors: names([...(item.authors ?? []).map(({ name }) => name), ...(item.dc?.creators ?? [])]),
      categories: names([...(item.categories ?? []).map(({ name }) => name), ...(item.dc?.subjects ?? [])]),
    }),
  );
  return { format: 'rss', title: html(feed.title), link: feed.link, wishes, items, problems: [] };
}

/** An item's address in the graph (`rdf:about`) is its identity, and mostly its link as well. */
export function fromRdf(feed: RdfFeed.Feed<string>, url: string): ParsedFeed {
  const base = within(url, feed.xml?.base);
  const items = (feed.items ?? []).map(
    (item): FeedItem => ({
      guid: item.rdf?.about,
      isPermalink: true,
      link: item.link,
      base: within(base, item.xml?.base),
      title: html(item.title ?? item.dc?.titles?.[0]),
      summary: html(item.description ?? item.content?.encoded ?? item.dc?.descriptions?.[0]),
      date: item.dc?.dates?.[0],
      updated: undefined,
      authors: names(item.dc?.creators),
      categories: names(item.dc?.subjects),
    }),
  );
  const wishes = { ...noWishes, periodMinutes: periodOf(feed.sy) };
  return { format: 'rdf', title: html(feed.title), link: feed.link, wishes, items, problems: [] };
}

export function fromAtom(feed: AtomFeed.Feed<string>, url: string): ParsedFeed {
  const base = within(url, feed.xml?.base);
  const items = (feed.entries ?? []).map((entry): FeedItem => {
    const body = entry.summary ?? entry.content;
    const own = within(base, entry.xml?.base);
    return {
      guid: entry.id,
      isPermalink: false,
      link: alternate(entry.links),
      base: own,
      title: atomText(entry.title),
      summary: atomText(body),
      date: entry.published ?? entry.updated,
      updated: entry.updated,
      authors: names(entry.authors?.map(({ name }) => name)),
      categories: names(entry.categories?.map(({ label, term }) => label ?? term)),
    };
  });
  const wishes = { ...noWishes, periodMinutes: periodOf(feed.sy) };
  return { format: 'atom', title: atomText(feed.title), link: alternate(feed.links), wishes, items, problems: [] };
}

export function fromJson(feed: JsonFeed.Feed<string>, url: string): ParsedFeed {
  const items = (feed.items ?? []).map(
    (item): FeedItem => ({
      guid: item.id,
      isPermalink: false,
      link: item.url ?? item.external_url,
      base: url,
      title: text(item.title),
      summary:
        item.summary === undefined && item.content_text === undefined
          ? html(item.content_html)
          : text(item.summary ?? item.content_text),
      date: item.date_published ?? item.date_modified,
      updated: item.date_modified,
      authors: names(item.authors?.map(({ name }) => name)),
      categories: names(item.tags),
    }),
  );
  return { format: 'json', title: text(feed.title), link: feed.home_page_url, wishes: noWishes, items, problems: [] };
}

/** RFC 4287: a text construct is plain text unless its type says otherwise. */
function atomText(construct: { readonly value?: string; readonly type?: string } | undefined): Text {
  return { value: construct?.value ?? '', isHtml: /html/i.test(construct?.type ?? '') };
}

/** The page itself; a link without `rel` is one. */
function alternate(
  links: readonly { readonly href?: string; readonly rel?: string }[] | undefined,
): string | undefined {
  return links?.find(({ rel = 'alternate', href }) => rel === 'alternate' && href !== undefined)?.href;
}

/** `base` as seen from `outer`; what cannot be resolved changes nothing. */
function within(outer: string, base: string | undefined): string {
  return (base === undefined ? undefined : parseUrl(base, outer)?.href) ?? outer;
}

/** Addresses are no names, and nobody who writes news asked us to spread them. */
function names(all: readonly (string | undefined)[] | undefined): string[] {
  return [...new Set((all ?? []).flatMap((name) => (name === undefined || name.includes('@') ? [] : [name])))];
}

function periodOf(
  sy: { readonly updatePeriod?: string; readonly updateFrequency?: number } | undefined,
): number | undefined {
  const minutes = periodMinutes[sy?.updatePeriod?.trim().toLowerCase() ?? ''];
  if (minutes === undefined) return undefined;
  const times = sy?.updateFrequency ?? 1;
  return times > 0 ? minutes / times : minutes;
}
