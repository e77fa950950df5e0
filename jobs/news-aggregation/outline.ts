/**
 * Looks over a document before it is parsed, in one pass of linear time: the parser behind needs quadratic time for some
 * shapes that no feed has (five megabytes of nested tags or of bare `<` kept it busy for minutes).
 */
import { Parser } from 'htmlparser2';
import { giveUp } from '../errors.ts';
import { literal } from './entities.ts';

export const maxItems = 1_000;
const limits = { depth: 64, tags: 100_000, attributes: 100_000, bareBrackets: 100 } as const;

export interface Outline {
  /** `<item>` or `<entry>` elements. */
  readonly items: number;
  /** Texts of `<skipHours><hour>` and `<skipDays><day>`: the parser behind loses one that stands alone. */
  readonly hours: readonly string[];
  readonly days: readonly string[];
}

/** Throws `LIMIT_EXCEEDED` for more than 1,000 items or too many tags and attributes, `BAD_SOURCE` for what no feed looks like. */
export function outline(text: string): Outline {
  const seen = { depth: 0, tags: 0, attributes: 0, items: 0, last: '' };
  const texts = { hour: [] as string[], day: [] as string[] };
  const parser = new Parser(
    {
      onopentag(name) {
        seen.depth += 1;
        seen.tags += 1;
        seen.last = name.toLowerCase();
        if (/^(?:\w+:)?(?:item|entry)$/i.test(name)) seen.items += 1;
        if (seen.depth > limits.depth)
          throw giveUp('BAD_SOURCE', `The feed has elements more than ${limits.depth} deep in each other.`);
        if (seen.tags > limits.tags) throw giveUp('LIMIT_EXCEEDED', `The feed has more than ${limits.tags} elements.`);
        if (seen.items > maxItems) throw tooManyItems();
      },
      ontext(text) {
        if (seen.last === 'hour' || seen.last === 'day') texts[seen.last].push(text.trim());
      },
      onclosetag() {
        seen.depth -= 1;
        seen.last = '';
      },
      onattribute() {
        seen.attributes += 1;
        if (seen.attributes > limits.attributes)
          throw giveUp('LIMIT_EXCEEDED', `The feed has more than ${limits.attributes} attributes.`);
      },
    },
    { xmlMode: true, decodeEntities: false },
  );
  refuseBareBrackets(text);
  parser.write(text);
  parser.end();
  return { items: seen.items, hours: texts.hour, days: texts.day };
}

/** For each `<` of a title that no `>` follows the parser looks to the end of the document. */
function refuseBareBrackets(text: string): void {
  let bare = 0;
  for (const _ of text.replaceAll(literal, '').matchAll(/<[^<>]*(?=<)/g)) {
    bare += 1;
    if (bare > limits.bareBrackets) throw giveUp('BAD_SOURCE', 'The feed is full of "<" that begin no element.');
  }
}

export function tooManyItems(): Error {
  return giveUp('LIMIT_EXCEEDED', `The feed has more than ${maxItems} items.`);
}
