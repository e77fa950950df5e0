/** The plain text of a rendered template. Pure. It knows the tags our templates use, not HTML at large. */

const entities: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&#39;': "'",
  '&nbsp;': ' ',
};

/** Undoes what the template engine escapes; any other entity stays as written. */
export function unescapeHtml(html: string): string {
  return html.replace(/&(?:amp|lt|gt|quot|#39|nbsp);/g, (entity) => entities[entity] ?? entity);
}

/**
 * Tags become line breaks, a link becomes `label: address`, a table row one line. Values of a payload were escaped
 * before they came here, so whatever looks like a tag is ours, and theirs come out as they were written.
 */
export function textPart(html: string): string {
  const body = html.slice(Math.max(0, html.indexOf('<body')));
  const marked = body
    .replace(/\s+/g, ' ')
    .replace(/<a [^>]*?href="([^"]*)"[^>]*>(.*?)<\/a>/g, (_all, href: string, label: string) => `${label}: ${href}`)
    .replace(/<\/td> ?<td[^>]*>/g, '  ')
    .replace(/<\/(?:p|h1|h2|table)>/g, '\n\n')
    .replace(/<br>|<\/(?:tr|div)>/g, '\n')
    .replace(/<[^>]*>/g, '');
  const lines = unescapeHtml(marked)
    .split('\n')
    .map((line) => line.trim());
  return `${lines
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim()}\n`;
}
