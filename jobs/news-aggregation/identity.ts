/** Which entry of a feed an item is, and which story of the world. */
import { createHash } from 'node:crypto';
import { canonicalUrl, webAddress } from './canonical-url.ts';

/** What identity is made of, whatever the format of the feed. */
export interface Identifying {
  /** `guid`, `atom:id`, `rdf:about` or the `id` of a JSON Feed. */
  readonly guid: string | undefined;
  /** RSS says that a guid is an address unless it says otherwise; the ids of other formats are none. */
  readonly isPermalink: boolean;
  readonly link: string | undefined;
  /** What relative links are relative to. */
  readonly base: string;
  readonly title: string;
  /** As written. */
  readonly date: string | undefined;
  readonly summary: string;
}

export interface Identity {
  /** Equal for two items of one feed that are the same entry. Compared as a string, with case: `%26` is not `&`. */
  readonly key: string;
  /** Where the entry can be read; undefined when the feed does not say. */
  readonly url: string | undefined;
  /** Equal for the same story in any feed. */
  readonly canonicalUrl: string | undefined;
}

/** The link wins as address, without it a guid that is one. The key is the guid, else the canonical link, else what the item says. */
export function identify(item: Identifying): Identity {
  const guid = item.guid?.trim() ?? '';
  const permalink = item.isPermalink ? webAddress(guid, undefined) : undefined;
  const url = webAddress(item.link, item.base) ?? permalink;
  const canonical = canonicalUrl(url);
  return { key: keyOf(item, guid, canonical), url, canonicalUrl: canonical };
}

function keyOf(item: Identifying, guid: string, canonical: string | undefined): string {
  if (guid !== '') return `guid ${guid}`;
  if (canonical !== undefined) return `link ${canonical}`;
  const said = [item.title, item.date ?? ''];
  // Without title and date only the text is left to tell items apart.
  return `text ${hash(JSON.stringify(said.every((part) => part === '') ? [...said, item.summary] : said))}`;
}

/** SHA-256 in hex, cut to 160 bits: collisions stay out of reach and ids short. */
export function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 40);
}
