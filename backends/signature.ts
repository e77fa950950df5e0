/** What two dead letters have in common: their code, and their message without everything that differs from case to case. */

export interface Failure {
  /** The stable code in front of the message; `UNEXPECTED` when there is none. */
  readonly code: string;
  readonly message: string;
}

/** Splits the stored reason `CODE: message`. A reason that is only a code has an empty message. */
export function readFailure(reason: string | undefined): Failure {
  // BullMQ's own words for a parent whose child is a dead letter.
  const [, child] = /^child \S*?:?([^\s:]+) failed$/.exec(reason ?? '') ?? [];
  if (child !== undefined) return { code: 'CHILD_FAILED', message: `its child ${child} is a dead letter` };
  const parts = /^([A-Z][A-Z0-9_]{1,63})(?::\s*|$)/.exec(reason ?? '');
  if (parts?.[1] === undefined) return { code: 'UNEXPECTED', message: reason ?? '' };
  return { code: parts[1], message: (reason ?? '').slice(parts[0].length) };
}

// Long enough to tell failures apart, short enough that no pattern below can take long on hostile text.
const readChars = 1_000;
const keptChars = 200;

/** Quoted parts and addresses, each looked for only where its sign is: most messages have none, and lists sign 100,000 at once. */
function withoutQuotes(line: string): string {
  let text = line;
  if (/["`']/.test(text)) text = text.replace(/"[^"]*"|`[^`]*`|(?<![\p{L}\p{N}])'[^']*'(?![\p{L}\p{N}])/gu, '…');
  if (text.includes('://')) text = text.replace(/\b[a-z][a-z0-9+.-]{0,20}:\/\/\S+/giu, '…');
  return text.includes('@') ? text.replace(/\S{1,64}@\S{1,255}/gu, '…') : text;
}

/**
 * The signature of a failure: code and first line with quoted parts, addresses, ids and numbers blanked. Pure and
 * stable: filters and saved links carry it. At most 265 characters.
 */
export function signatureOf({ code, message }: Failure): string {
  const line = message.slice(0, readChars).trimStart().split('\n', 1)[0] ?? '';
  const blanked = withoutQuotes(line)
    .replace(/(?<![\p{L}\p{N}])(?=[\p{L}_-]*\p{N})[\p{L}\p{N}_-]{8,}/gu, '#')
    .replace(/\p{N}+(?:[.,:]\p{N}+)*/gu, '#')
    .replace(/\s+/gu, ' ')
    .trim();
  return blanked === '' ? code : `${code}: ${blanked.slice(0, keptChars)}`;
}
