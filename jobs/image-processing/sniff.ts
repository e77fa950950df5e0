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

// XML declaration, comments, processing instructions and a document type may come first.
const svgStart = /^\uFEFF?\s*(?:<\?[^>]*>\s*|<!--[^]*?-->\s*|<!DOCTYPE[^>[]*(?:\[[^\]]*\]\s*)?>\s*)*<svg[\s>]/;

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
  if (svgStart.test(head.toString('utf8'))) return known('svg');
  if (text.startsWith('BM')) return refused('a BMP');
  if (text.startsWith('%PDF')) return refused('a PDF');
  return refused('no image');
}
