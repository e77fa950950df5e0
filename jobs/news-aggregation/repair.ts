/** The second, tolerant parser: ends what a cut-off or careless document leaves open. */
import { DomUtils, parseDocument } from 'htmlparser2';

/** The same document, well-formed as far as its elements go. Its depth must be bounded before (`outline`). */
export function repair(text: string): string {
  const options = { xmlMode: true, decodeEntities: false } as const;
  return DomUtils.getOuterHTML(parseDocument(text, options), options);
}
