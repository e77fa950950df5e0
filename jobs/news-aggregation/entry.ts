/** An item of a feed as it is kept: cleaned, dated, with its identity. */
import { cleanSummary, cleanTitle, plain } from './clean.ts';
import { type DateQuality, readDate } from './dates.ts';
import type { FeedItem } from './formats.ts';
import { hash, identify } from './identity.ts';

const dayMs = 86_400_000;
const maxNames = 20;
const maxName = 200;
const maxGuid = 1_000;

/** What an item says, before it is compared with what is stored. */
export interface Entry {
  readonly _id: string;
  /** Id of the feed. */
  readonly feed: string;
  /** As the feed writes it, at most 1,000 characters; null without one. */
  readonly guid: string | null;
  readonly url: string | null;
  /** The same for the same story in any feed, made of its canonical link; without one that of the entry alone: its `_id`. */
  readonly story: string;
  readonly title: string;
  readonly summary: string;
  readonly authors: readonly string[];
  readonly categories: readonly string[];
  /** RFC 3339; null where the feed has none that can be used, see `dateQuality`. */
  readonly published: string | null;
  readonly dateQuality: DateQuality;
  /** As written. */
  readonly dateWritten: string | null;
  /** RFC 3339: of two revisions the later one counts. */
  readonly updated: string | null;
  /** Of everything above that a reader sees: another one is another revision. */
  readonly content: string;
}

export function makeEntry(feed: string, item: FeedItem, now: number): Entry {
  const title = cleanTitle(item.title.value, item.title.isHtml);
  const summary = cleanSummary(item.summary.value, item.summary.isHtml, item.base);
  const { key, url, canonicalUrl } = identify({
    guid: item.guid,
    isPermalink: item.isPermalink,
    link: item.link,
    base: item.base,
    title,
    date: item.date,
    summary,
  });
  const _id = `${feed}-${hash(key)}`;
  const { published, dateQuality } = judge(item.date, now);
  const updated = readDate(item.updated).instant ?? null;
  const said = {
    url: url ?? null,
    title,
    summary,
    authors: short(item.authors),
    categories: short(item.categories),
    dateWritten: item.date === undefined ? null : plain(item.date).slice(0, maxName),
    updated,
  };
  const guid = plain(item.guid ?? '')
    .trim()
    .slice(0, maxGuid)
    .toWellFormed();
  return {
    _id,
    feed,
    guid: guid === '' ? null : guid,
    story: canonicalUrl === undefined ? _id : hash(canonicalUrl),
    ...said,
    published,
    dateQuality,
    content: hash(JSON.stringify(said)),
  };
}

/** A date more than a day ahead is a mistake or a trick to stay on top. */
function judge(written: string | undefined, now: number): Pick<Entry, 'published' | 'dateQuality'> {
  const { instant, quality } = readDate(written);
  if (instant === undefined) return { published: null, dateQuality: quality };
  if (Date.parse(instant) > now + dayMs) return { published: null, dateQuality: 'future' };
  return { published: instant, dateQuality: quality };
}

function short(names: readonly string[]): string[] {
  return names
    .slice(0, maxNames)
    .map((name) => cleanTitle(name, false).slice(0, maxName).toWellFormed())
    .filter((name) => name !== '');
}

/**
 * One entry for each identity, in the order of the feed. Of two with the same one the later revision stays, else the
 * first: feeds put new items in front. Says how often that was needed.
 */
export function distinct(entries: readonly Entry[]): { readonly entries: readonly Entry[]; readonly repeated: number } {
  const byId = new Map<string, Entry>();
  for (const entry of entries) {
    const before = byId.get(entry._id);
    if (before === undefined || (entry.updated ?? '') > (before.updated ?? '')) byId.set(entry._id, entry);
  }
  return { entries: [...byId.values()], repeated: entries.length - byId.size };
}
