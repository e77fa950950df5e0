/** Text of a feed → what it says, the same for RSS, RDF, Atom and JSON Feed. */
import { type AnyFeed, DetectError, MalformedError, ParseError, parseFeed } from 'feedsmith';
import { giveUp } from '../errors.ts';
import { expandEntities } from './entities.ts';
import { fromAtom, fromJson, fromRdf, fromRss, type ParsedFeed } from './formats.ts';
import { maxItems, outline, tooManyItems } from './outline.ts';
import { repair } from './repair.ts';

/**
 * `url`: where the text came from; relative links are relative to it. Throws `BAD_SOURCE` for what is no feed,
 * `LIMIT_EXCEEDED` for more than 1,000 items.
 */
export function parse(text: string, url: string): ParsedFeed {
  // A JSON text may begin with white space, and a decoder leaves a second byte order mark in.
  const trimmed = text.replace(/^[\s\uFEFF]+/, '');
  if (trimmed === '') throw giveUp('BAD_SOURCE', 'The feed is empty.');
  return trimmed.startsWith('{') ? parseJson(trimmed, url) : parseXml(trimmed, url);
}

function parseXml(text: string, url: string): ParsedFeed {
  const expanded = expandEntities(text);
  const { items, hours, days } = outline(expanded);
  const first = read(expanded);
  const second = first ?? read(repair(expanded));
  if (second === undefined) throw noFeed('Neither RSS, RDF nor Atom can be read in it.');
  const feed = understand(second, url);
  const dropped = items - feed.items.length;
  return {
    ...feed,
    wishes: {
      ...feed.wishes,
      skipHours: hours.filter((hour) => /^\d{1,2}$/.test(hour)).map(Number),
      skipDays: days.slice(0, 7),
    },
    problems: [
      ...(first === undefined ? ['The feed is not well-formed; what can be read of it was taken.'] : []),
      ...(dropped > 0 ? [`Entries that hold nothing: ${dropped}.`] : []),
    ],
  };
}

function parseJson(text: string, url: string): ParsedFeed {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw giveUp('BAD_SOURCE', 'The feed begins like JSON and is none.', { cause: error });
  }
  const items: unknown = Object(value).items;
  if (Array.isArray(items) && items.length > maxItems) throw tooManyItems();
  const feed = read({ ...Object(value), version: fullVersion(Object(value).version) });
  if (feed === undefined) throw noFeed('It is JSON, but no JSON Feed.');
  return understand(feed, url);
}

/** The parser knows a version by its address only; "1.1" is a common shorthand. */
function fullVersion(version: unknown): unknown {
  const short = /^1(?:\.\d)?$/.exec(String(version))?.[0];
  if (short === undefined) return version;
  return `https://jsonfeed.org/version/${short === '1.0' ? '1' : short}`;
}

type Read = AnyFeed;

/** Undefined when the document is damaged or says too little; throws when it is no feed at all. */
function read(value: unknown): Read | undefined {
  try {
    return parseFeed(value, { maxItems: maxItems + 1 });
  } catch (error) {
    if (error instanceof DetectError) throw noFeed('It is neither RSS, RDF, Atom nor JSON Feed.', error);
    if (error instanceof MalformedError || error instanceof ParseError) return undefined;
    throw error;
  }
}

function understand(read: Read, url: string): ParsedFeed {
  switch (read.format) {
    case 'rss':
      return fromRss(read.feed, url);
    case 'rdf':
      return fromRdf(read.feed, url);
    case 'atom':
      return fromAtom(read.feed, url);
    case 'json':
      return fromJson(read.feed, url);
  }
}

function noFeed(why: string, cause?: Error): Error {
  return giveUp('BAD_SOURCE', `This is no feed. ${why}`, cause === undefined ? {} : { cause });
}
