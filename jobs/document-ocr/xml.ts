/**
 * Untrusted XML as a tree of plain objects, and the way to a value in it. No DTD, so no entity but the five of XML and
 * numeric ones, nothing external; at most 10 MB and 60 levels.
 */
import { XMLParser } from 'fast-xml-parser';
import { giveUp } from '../errors.ts';

export type Node = Readonly<Record<string, unknown>>;

const maxBytes = 10_000_000;
const maxDepth = 60;

/** Throws `BAD_SOURCE` for what is not well-formed or declares a DTD, `LIMIT_EXCEEDED` for what is too long. */
export function readXml(bytes: Uint8Array): Node {
  if (bytes.byteLength > maxBytes)
    throw giveUp('LIMIT_EXCEEDED', `expected XML of at most ${maxBytes} bytes, got ${bytes.byteLength}`);
  return parseXml(decode(bytes));
}

function decode(bytes: Uint8Array): string {
  const head = Buffer.from(bytes.subarray(0, 200)).toString('latin1');
  const declared = /^[^>]*encoding\s*=\s*["']([\w.:-]{1,40})["']/.exec(head)?.[1] ?? 'utf-8';
  const label =
    bytes[0] === 0xff && bytes[1] === 0xfe
      ? 'utf-16le'
      : bytes[0] === 0xfe && bytes[1] === 0xff
        ? 'utf-16be'
        : declared;
  try {
    return new TextDecoder(label).decode(bytes);
  } catch (error) {
    throw giveUp('BAD_SOURCE', `The XML names an encoding nobody knows: ${label}`, { cause: error });
  }
}

function parseXml(text: string): Node {
  if (/<!(?:DOCTYPE|ENTITY)/i.test(text))
    throw giveUp('BAD_SOURCE', 'The XML declares a DTD, which is not read; send it without one');
  checkDepth(text);
  const parser = new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: '@',
    removeNSPrefix: true,
    parseTagValue: false,
    parseAttributeValue: false,
    trimValues: true,
    processEntities: true,
    // The numeric ones among them: &#8364;
    htmlEntities: true,
  });
  try {
    return asNode(parser.parse(text, true)) ?? {};
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw giveUp('BAD_SOURCE', `The XML is not well-formed: ${reason.slice(0, 200)}`, { cause: error });
  }
}

/** The parser calls itself for every level. */
function checkDepth(text: string): void {
  let depth = 0;
  for (const [tag] of text.matchAll(/<[/A-Za-z_][^<>]{0,2000}>/g)) {
    if (tag.startsWith('</')) depth -= 1;
    else if (!tag.endsWith('/>')) depth += 1;
    if (depth > maxDepth) throw giveUp('BAD_SOURCE', `expected XML of at most ${maxDepth} levels, got more`);
  }
}

export function asNode(value: unknown): Node | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
}

/** Child elements of any of the names (`A|B`), in order. */
export function children(node: Node | undefined, names: string): unknown[] {
  if (node === undefined) return [];
  return names.split('|').flatMap((name) => {
    const value = node[name];
    return value === undefined ? [] : Array.isArray(value) ? value : [value];
  });
}

export function child(node: Node | undefined, path: string): Node | undefined {
  let at: Node | undefined = node;
  for (const names of path.split('/'))
    at = children(at, names)
      .map(asNode)
      .find((one) => one !== undefined);
  return at;
}

/** The text of an element, whether it has attributes or not. */
export function text(node: Node | undefined, path: string): string | undefined {
  const cut = path.lastIndexOf('/');
  const parent = cut < 0 ? node : child(node, path.slice(0, cut));
  const [value] = children(parent, path.slice(cut + 1));
  const content = typeof value === 'string' ? value : asNode(value)?.['#text'];
  return typeof content === 'string' && content.trim() !== '' ? content.trim() : undefined;
}

export function decimal(node: Node | undefined, path: string): number | undefined {
  const value = text(node, path);
  return value !== undefined && /^[+-]?\d{1,15}(?:\.\d{1,15})?$/.test(value) ? Number(value) : undefined;
}

export const attributeOf = (node: Node | undefined, path: string, name: string): string | undefined => {
  const value = child(node, path)?.[`@${name}`];
  return typeof value === 'string' ? value : undefined;
};
