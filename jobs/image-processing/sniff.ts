/** What a file is, by its first bytes alone; names and declared types lie. Pure. */

/** Kinds that are decoded. `svg` and `tiff` need a loader that stays off for all others. */
export type SourceKind = 'jpeg' | 'png' | 'webp' | 'gif' | 'heif' | 'svg' | 'tiff';

export type Sniffed =
  | { readonly state: 'known'; readonly kind: SourceKind }
  | { readonly state: 'refused'; readonly what: string };

const known = (kind: SourceKind): Sniffed => ({ state: 'known', kind });
const refused = (what: string): Sniffed => ({ state: 'refused', what });

/** The still brands; AVIF and HEIC share the container, and only decoding tells which codec is inside. */
const heifBrands: ReadonlySet<string> = new Set(['avif', 'mif1', 'heic', 'heix', 'heim', 'heis']);
const sequenceBrands: ReadonlySet<string> = new Set(['avis', 'hevc', 'hevx', 'hevm', 'hevs', 'msf1']);

/** Where the construct that starts at `at` ends, or undefined when it is none that may stand before the root element. */
function endOfProlog(text: string, at: number): number | undefined {
  const after = (mark: string, from: number): number | undefined => {
    const found = text.indexOf(mark, from);
    return found < 0 ? undefined : found + mark.length;
  };
  if (text.startsWith('<?', at)) return after('?>', at);
  if (text.startsWith('<!--', at)) return after('-->', at + 4);
  if (!text.startsWith('<!DOCTYPE', at)) return undefined;
  const end = after('>', at);
  const subset = text.indexOf('[', at);
  if (end === undefined || subset < 0 || subset > end) return end;
  const closed = after(']', subset);
  return closed === undefined ? undefined : after('>', closed);
}

/**
 * True when the first element is `<svg>`: an XML declaration, comments and a document type may come before it. A loop, as
 * a regular expression for this takes exponential time on repeated comments.
 */
function isSvg(text: string): boolean {
  let at: number | undefined = text.startsWith('\uFEFF') ? 1 : 0;
  while (at !== undefined) {
    while (/\s/.test(text.charAt(at))) at += 1;
    if (/^<svg[\s>/]/.test(text.slice(at, at + 5))) return true;
    at = endOfProlog(text, at);
  }
  return false;
}

function sniffBox(brand: string): Sniffed {
  if (heifBrands.has(brand)) return known('heif');
  if (sequenceBrands.has(brand)) return refused('an image sequence in a HEIF container');
  return refused('an MP4 or another media container');
}

/** Looks at the first 4 KB. Everything that is not recognised is refused. */
export function sniff(bytes: Uint8Array): Sniffed {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 4_096));
  const text = head.toString('latin1');
  if (head.length === 0) return refused('an empty file');
  if (text.startsWith('\xFF\xD8\xFF')) return known('jpeg');
  if (text.startsWith('\x89PNG\r\n\x1A\n')) return known('png');
  if (text.startsWith('GIF87a') || text.startsWith('GIF89a')) return known('gif');
  if (text.startsWith('RIFF') && text.slice(8, 12) === 'WEBP') return known('webp');
  if (text.startsWith('II*\0') || text.startsWith('MM\0*')) return known('tiff');
  if (text.slice(4, 8) === 'ftyp') return sniffBox(text.slice(8, 12));
  if (isSvg(head.toString('utf8'))) return known('svg');
  if (text.startsWith('BM')) return refused('a BMP');
  if (text.startsWith('%PDF')) return refused('a PDF');
  return refused('no image');
}
