/**
 * Expands the entities that a feed declares in its own DOCTYPE; the parser leaves them as they are. Only text inside the
 * document is ever read: a name that points elsewhere is refused, not fetched.
 */
import { giveUp } from '../errors.ts';

/** An entity may stand in an entity that stands in an entity. */
const maxDepth = 3;
/** What all references of a document come to together. */
const maxExpanded = 65_536;
const maxDeclared = 1_000;
/** Characters of the whole DOCTYPE. */
const maxDoctype = 262_144;
/** Written in feeds of 1999, and nothing but the names of Latin letters, which need no declaration. */
const harmless = /^PUBLIC\s+["']-\/\/Netscape Communications\/\/DTD RSS 0\.91\/\/EN["']\s+["'][^"']*["']\s*$/i;
/** CDATA, comments and instructions: no reference and no tag is one in there. */
export const literal = /<!\[CDATA\[[\s\S]*?(?:\]\]>|$)|<!--[\s\S]*?(?:-->|$)|<\?[\s\S]*?(?:\?>|$)/g;

/**
 * The text without its DOCTYPE and with its entities expanded. Throws `BAD_SOURCE` for anything external, a parameter
 * entity or a DOCTYPE that does not end, `LIMIT_EXCEEDED` for what is too deep (so are circles) or too large.
 */
export function expandEntities(text: string): string {
  const doctype = findDoctype(text);
  if (doctype === undefined) return text;
  const declared = readDeclarations(doctype);
  const body = text.slice(doctype.end);
  const head = text.slice(0, doctype.start);
  if (declared.size === 0) return head + body;
  const budget = { shown: maxExpanded, built: maxExpanded * (maxDepth + 1) };
  let expanded = head;
  let from = 0;
  for (const { 0: skipped, index } of body.matchAll(literal)) {
    expanded += expand(body.slice(from, index), declared, budget, 0) + skipped;
    from = index + skipped.length;
  }
  return expanded + expand(body.slice(from), declared, budget, 0);
}

interface Doctype {
  readonly start: number;
  readonly end: number;
  /** Between the name of the root element and the subset: an external identifier or nothing. */
  readonly external: string;
  /** Between the brackets, without comments and instructions. */
  readonly subset: string;
}

/** A DOCTYPE stands before the first element; what looks like one later is text. */
function findDoctype(text: string): Doctype | undefined {
  const prolog = /(?:\s+|\uFEFF|<!--[\s\S]*?-->|<\?[\s\S]*?\?>)*/y;
  prolog.exec(text);
  const start = prolog.lastIndex;
  if (!/^<!DOCTYPE\s/i.test(text.slice(start, start + 10))) return undefined;
  const near = text.slice(start, start + maxDoctype);
  const [whole = '', external = '', mark] =
    /^<!DOCTYPE\s+[^\s[>]+\s*((?:"[^"]*"|'[^']*'|[^[>"'])*)([[>])/i.exec(near) ?? [];
  if (mark === '>') return { start, end: start + whole.length, external: external.trim(), subset: '' };
  const inside = /(?:<!--[\s\S]*?-->|<\?[\s\S]*?\?>|"[^"]*"|'[^']*'|[^\]"'<]+|<(?!!--|\?))*/y;
  inside.lastIndex = whole.length;
  inside.exec(near);
  const close = /\]\s*>/y;
  close.lastIndex = inside.lastIndex;
  if (mark === undefined || !close.test(near))
    throw giveUp('BAD_SOURCE', `The DOCTYPE of the feed does not end within ${maxDoctype} characters.`);
  const subset = near.slice(whole.length, inside.lastIndex).replaceAll(/<!--[\s\S]*?-->|<\?[\s\S]*?\?>/g, ' ');
  return { start, end: start + close.lastIndex, external: external.trim(), subset };
}

function readDeclarations({ external, subset }: Doctype): ReadonlyMap<string, string> {
  if (external !== '' && !harmless.test(external))
    throw giveUp('BAD_SOURCE', 'The DOCTYPE of the feed names an external file; those are never read.');
  const declared = new Map<string, string>();
  for (const [, percent, name = '', rest = ''] of subset.matchAll(
    /<!ENTITY\s+(%\s+)?([^\s"'>]+)\s+((?:"[^"]*"|'[^']*'|[^"'>])*)>/gi,
  )) {
    const value = /^(["'])([\s\S]*)\1\s*$/.exec(rest)?.[2];
    if (percent !== undefined || value === undefined)
      throw giveUp(
        'BAD_SOURCE',
        `The entity "${name.slice(0, 40)}" of the feed is external or a parameter; only text is expanded.`,
      );
    // The first declaration of a name counts (XML 1.0 §4.2).
    if (!declared.has(name)) declared.set(name, value);
    if (declared.size > maxDeclared)
      throw giveUp('LIMIT_EXCEEDED', `The feed declares more than ${maxDeclared} entities.`);
  }
  if (/%[^\s;"'<>]+;/.test(subset.replaceAll(/"[^"]*"|'[^']*'/g, '')))
    throw giveUp('BAD_SOURCE', 'The DOCTYPE of the feed refers to a parameter entity; only text is expanded.');
  return declared;
}

interface Budget {
  /** Characters that may still come into the document. */
  shown: number;
  /** Characters that may still be built on the way, at any depth. */
  built: number;
}

function expand(text: string, declared: ReadonlyMap<string, string>, budget: Budget, depth: number): string {
  return text.replaceAll(/&([^\s;&#<]+);/g, (reference, name: string) => {
    const value = declared.get(name);
    if (value === undefined) return reference;
    if (depth === maxDepth)
      throw giveUp('LIMIT_EXCEEDED', `The entities of the feed stand more than ${maxDepth} deep in each other.`);
    const expanded = expand(value, declared, budget, depth + 1);
    budget.built -= expanded.length;
    if (depth === 0) budget.shown -= expanded.length;
    if (budget.shown < 0 || budget.built < 0)
      throw giveUp('LIMIT_EXCEEDED', `The entities of the feed come to more than ${maxExpanded} characters.`);
    return expanded;
  });
}
