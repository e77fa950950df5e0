/**
 * Bytes of a feed → text. Asked in this order: the byte order mark, UTF-16 by its first bytes, the charset of the HTTP
 * answer, the XML declaration, UTF-8, then detection. A name counts only if the bytes can be read with it without a
 * fault, so that a server which says UTF-8 and sends Latin-1 does no harm. The mark goes before the HTTP charset, unlike
 * the order of RFC 2376: no text begins with those bytes, and RFC 7303 §3.2 turned the two round.
 */
import chardet from 'chardet';
import { giveUp } from '../errors.ts';

export interface Decoded {
  readonly text: string;
  /** As `TextDecoder` names it: `utf-8`, `windows-1252`, `koi8-r`. */
  readonly encoding: string;
}

/** How many bytes the detector looks at, from the first one that is no ASCII. */
const sampleBytes = 65_536;

/** Throws `BAD_SOURCE` when nothing fits. JSON is UTF-8 always and is found as such. */
export function decode(bytes: Uint8Array, contentType: string | undefined): Decoded {
  const told = byMark(bytes) ?? byZeroes(bytes);
  if (told !== undefined) {
    const decoded = tryDecode(bytes, told);
    if (decoded !== undefined) return decoded;
    throw giveUp('BAD_SOURCE', `The feed begins as ${told} and cannot be read as that: cut off or damaged.`);
  }
  const named = [charsetOf(contentType), declaredIn(bytes), 'utf-8'];
  for (const label of named) {
    // UTF-16 shows in the first bytes; these have none of it, whatever they say.
    const decoded = label === undefined || /^utf-?16/i.test(label) ? undefined : tryDecode(bytes, label);
    if (decoded !== undefined) return decoded;
  }
  for (const label of detect(bytes)) {
    const decoded = tryDecode(bytes, label);
    if (decoded !== undefined) return decoded;
  }
  throw giveUp('BAD_SOURCE', 'The feed is no text in any known encoding.');
}

function byMark([first, second, third]: Uint8Array): string | undefined {
  if (first === 0xef && second === 0xbb && third === 0xbf) return 'utf-8';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  return undefined;
}

/** A feed begins with ASCII (`<`, `{`, white space): in UTF-16 every other byte of it is zero. */
function byZeroes([first, second, third, fourth]: Uint8Array): string | undefined {
  if (first === 0 && second !== 0 && third === 0) return 'utf-16be';
  if (second === 0 && first !== 0 && fourth === 0) return 'utf-16le';
  return undefined;
}

function charsetOf(contentType: string | undefined): string | undefined {
  return /;\s*charset\s*=\s*"?([\w.:-]{1,40})/i.exec(contentType ?? '')?.[1];
}

function declaredIn(bytes: Uint8Array): string | undefined {
  const head = Buffer.from(bytes.subarray(0, 1_024)).toString('latin1');
  return /^\s*<\?xml\s[^>]*?encoding\s*=\s*["']([\w.:-]{1,40})["']/.exec(head)?.[1];
}

function detect(bytes: Uint8Array): string[] {
  const from = Math.max(
    0,
    bytes.findIndex((byte) => byte > 0x7f),
  );
  return chardet.analyse(bytes.subarray(from, from + sampleBytes)).map(({ name }) => name);
}

/** What windows-1252 has for 0x80–0x9f, where it differs from Latin-1: curly quotes, dashes, the euro. */
const c1 = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ';

/** Undefined when the name is unknown or the bytes do not fit. */
function tryDecode(bytes: Uint8Array, label: string): Decoded | undefined {
  try {
    const decoder = new TextDecoder(label, { fatal: true });
    const text = decoder.decode(bytes);
    if (decoder.encoding !== 'windows-1252') return { text, encoding: decoder.encoding };
    // Node 20 reads these as Latin-1, whatever it calls itself; where it does not, none is left to replace.
    return {
      text: text.replaceAll(/[\u0080-\u009f]/g, (char) => c1[char.charCodeAt(0) - 0x80] ?? char),
      encoding: decoder.encoding,
    };
  } catch (error) {
    // RangeError: no such encoding; TypeError: these bytes are not in it.
    if (error instanceof RangeError || error instanceof TypeError) return undefined;
    throw error;
  }
}
