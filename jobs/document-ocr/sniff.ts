/** What a source is, by its first bytes: names and declared types prove nothing. */

export const sourceKinds = ['pdf', 'xml', 'png', 'jpeg', 'webp', 'gif', 'tiff', 'bmp', 'pnm'] as const;
export type SourceKind = (typeof sourceKinds)[number];

export type Sniffed =
  | { readonly state: 'known'; readonly kind: SourceKind }
  | { readonly state: 'refused'; readonly what: string };

const known = (kind: SourceKind): Sniffed => ({ state: 'known', kind });
const refused = (what: string): Sniffed => ({ state: 'refused', what });

const magic: readonly (readonly [string, SourceKind])[] = [
  ['\x89PNG\r\n\x1a\n', 'png'],
  ['\xff\xd8\xff', 'jpeg'],
  ['GIF87a', 'gif'],
  ['GIF89a', 'gif'],
  ['II*\0', 'tiff'],
  ['MM\0*', 'tiff'],
  ['BM', 'bmp'],
];
const others: readonly (readonly [string, string])[] = [
  ['PK\x03\x04', 'a zip archive or an office document'],
  ['\xd0\xcf\x11\xe0', 'an old office document'],
  ['{\\rtf', 'an RTF document'],
  ['<!DOCTYPE', 'a page with a DTD'],
  ['<html', 'an HTML page'],
  ['<svg', 'an SVG drawing'],
];

/** PDF readers look for the header in the first kilobyte, so a few bytes of junk in front are no reason to refuse. */
export function sniff(bytes: Uint8Array): Sniffed {
  const head = Buffer.from(bytes.subarray(0, 1_024)).toString('latin1');
  if (head === '') return refused('nothing');
  for (const [start, kind] of magic) if (head.startsWith(start)) return known(kind);
  if (head.startsWith('RIFF') && head.slice(8, 12) === 'WEBP') return known('webp');
  if (/^P[1-6][\s#]/.test(head)) return known('pnm');
  if (head.includes('%PDF-')) return known('pdf');
  const text = head.replace(/^\xef\xbb\xbf/, '').trimStart();
  for (const [start, what] of others) if (text.toLowerCase().startsWith(start.toLowerCase())) return refused(what);
  if (/^<(?:\?xml|[A-Za-z_][\w.-]*(?::[\w.-]+)?[\s>])/.test(text)) return known('xml');
  if (head.slice(4, 8) === 'ftyp') return refused('a HEIC, AVIF or video file');
  return refused('something else');
}
