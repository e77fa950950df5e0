/**
 * Makes text of strangers fit to be kept and shown. Titles become plain text; summaries keep a little HTML without
 * scripts, styles, forms, images (each tells its sender who reads) and addresses other than http and https.
 */
import { DomUtils, parseDocument } from 'htmlparser2';
import sanitizeHtml from 'sanitize-html';
import { webAddress } from './canonical-url.ts';

const maxTitle = 500;
/** Of the HTML as it came: a summary is no article. */
const maxSummary = 10_000;
const maxRounds = 3;
const allowed =
  'a abbr b blockquote br code dd del dl dt em h3 h4 h5 h6 i ins li ol p pre q s small strong sub sup ul'.split(' ');

/** Without what no store keeps (NUL, halves of surrogate pairs) and no reader sees (controls, direction overrides). */
export function plain(text: string): string {
  return text.toWellFormed().replaceAll(/(?![\t\n\r])\p{Cc}|[\u202a-\u202e\u2066-\u2069\ufeff]/gu, '');
}

/** One line of plain text, at most 500 characters. `isHtml`: markup goes, and its entities are read; else it is text already. */
export function cleanTitle(title: string, isHtml: boolean): string {
  const text = isHtml ? withoutMarkup(title.slice(0, 4 * maxTitle)) : title;
  return cut(plain(text).replaceAll(/\s+/g, ' ').trim(), maxTitle);
}

/**
 * Text that holds no markup any more, however often it was escaped: `&amp;lt;script&amp;gt;` is a script to somebody who
 * unescapes twice.
 */
function withoutMarkup(html: string): string {
  let text = html;
  for (let round = 0; round < maxRounds; round += 1) {
    const next = DomUtils.innerText(parseDocument(text).children);
    if (next === text) break;
    text = next;
  }
  return text.replaceAll(/<(?=[a-z/!?])/gi, '');
}

/** HTML that is safe to show. Relative links are resolved against `base`. */
export function cleanSummary(html: string, isHtml: boolean, base: string): string {
  const source = plain(html).slice(0, maxSummary);
  if (!isHtml) return escapeHtml(source.trim());
  return sanitizeHtml(source, {
    allowedTags: allowed,
    allowedAttributes: { a: ['href', 'rel'] },
    allowedSchemes: ['http', 'https'],
    nestingLimit: 32,
    transformTags: {
      a: (_name, { href }) => {
        const address = webAddress(href, base);
        return {
          tagName: 'a',
          attribs: address === undefined ? {} : { href: address, rel: 'nofollow noopener noreferrer' },
        };
      },
    },
  }).trim();
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Not through the middle of a character. */
function cut(text: string, length: number): string {
  return text.length <= length
    ? text
    : `${text
        .slice(0, length - 1)
        .toWellFormed()
        .replace(/\ufffd$/, '')}…`;
}
