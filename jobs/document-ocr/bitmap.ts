/** BMP and PNM, which libvips here does not read: uncompressed pixels behind a short header. Pure. */
import { giveUp } from '../errors.ts';
import type { Picture } from './picture.ts';
import { maxSourcePixels } from './sizes.ts';

function checkSize(width: number, height: number): void {
  if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0))
    throw giveUp('BAD_SOURCE', 'The picture has no size.');
  if (width * height > maxSourcePixels)
    throw giveUp('LIMIT_EXCEEDED', `expected at most ${maxSourcePixels} pixels, got ${width * height}`);
}

function need(bytes: Uint8Array, length: number): void {
  if (bytes.byteLength < length)
    throw giveUp('BAD_SOURCE', `The picture ends early: expected ${length} bytes, got ${bytes.byteLength}`);
}

/** Windows bitmaps of 1, 4, 8, 24 and 32 bits, top-down ones too. Compressed ones are refused. */
export function readBmp(bytes: Uint8Array): Picture {
  need(bytes, 54);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = view.getUint32(10, true);
  const headerSize = view.getUint32(14, true);
  const width = view.getInt32(18, true);
  const rawHeight = view.getInt32(22, true);
  const height = Math.abs(rawHeight);
  const bits = view.getUint16(28, true);
  const compression = view.getUint32(30, true);
  checkSize(width, height);
  if (
    headerSize < 40 ||
    ![1, 4, 8, 24, 32].includes(bits) ||
    !(compression === 0 || (compression === 3 && bits === 32))
  )
    throw giveUp(
      'BAD_SOURCE',
      `Only uncompressed BMP of 1, 4, 8, 24 or 32 bits is read, got ${bits} bits, compression ${compression}`,
    );
  const stride = Math.ceil((width * bits) / 32) * 4;
  need(bytes, start + stride * height);
  const palette = paletteOf(bytes, view, 14 + headerSize, bits);
  const data = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y += 1) {
    const row = start + stride * (rawHeight < 0 ? y : height - 1 - y);
    for (let x = 0; x < width; x += 1) {
      const from = bits >= 24 ? row + (x * bits) / 8 : palette(indexAt(bytes, row, x, bits));
      const source = bits >= 24 ? bytes : palette.bytes;
      const to = (y * width + x) * 3;
      data[to] = source[from + 2] ?? 255;
      data[to + 1] = source[from + 1] ?? 255;
      data[to + 2] = source[from] ?? 255;
    }
  }
  return { data, width, height, channels: 3, dpi: undefined };
}

function indexAt(bytes: Uint8Array, row: number, x: number, bits: number): number {
  const byte = bytes[row + Math.floor((x * bits) / 8)] ?? 0;
  return (byte >> (8 - bits - ((x * bits) % 8))) & ((1 << bits) - 1);
}

function paletteOf(bytes: Uint8Array, view: DataView, start: number, bits: number) {
  const colours = bits > 8 ? 0 : view.getUint32(46, true) || 1 << bits;
  const table = bytes.subarray(start, start + Math.min(colours, 256) * 4);
  return Object.assign((index: number): number => index * 4, { bytes: table });
}

/** Portable bitmaps: P1 to P6, at most 8 bits a sample. */
export function readPnm(bytes: Uint8Array): Picture {
  const kind = (bytes[1] ?? 0) - 48;
  const isBitmap = kind === 1 || kind === 4;
  const head = readHeader(bytes, isBitmap ? 2 : 3);
  const [width = 0, height = 0, most = 1] = head.numbers;
  checkSize(width, height);
  if (most < 1 || most > 255) throw giveUp('BAD_SOURCE', `Only PNM of 8 bits is read, got samples up to ${most}`);
  const channels = kind === 3 || kind === 6 ? 3 : 1;
  const count = width * height * channels;
  const samples =
    kind <= 3
      ? textSamples(bytes, head.end, count, isBitmap)
      : rawSamples(bytes, head.end, { width, height, channels, isBitmap });
  const data = Buffer.alloc(count);
  for (let at = 0; at < count; at += 1) {
    const value = samples(at);
    data[at] = isBitmap ? (value === 1 ? 0 : 255) : Math.round((value * 255) / most);
  }
  return { data, width, height, channels, dpi: undefined };
}

function readHeader(bytes: Uint8Array, wanted: number): { readonly numbers: readonly number[]; readonly end: number } {
  const text = Buffer.from(bytes.subarray(0, 4_096)).toString('latin1');
  const space = String.raw`(?:\s|#[^\n]*\n)+`;
  const match = new RegExp(`^P\\d${`${space}(\\d{1,9})`.repeat(wanted)}\\s`).exec(text);
  if (match === null) throw giveUp('BAD_SOURCE', 'The header of the PNM is not readable.');
  return { numbers: match.slice(1).map(Number), end: match[0].length };
}

function textSamples(bytes: Uint8Array, start: number, count: number, isBitmap: boolean): (at: number) => number {
  const text = Buffer.from(bytes.subarray(start)).toString('latin1');
  const found = text.match(isBitmap ? /[01]/g : /\d{1,3}/g) ?? [];
  if (found.length < count)
    throw giveUp('BAD_SOURCE', `The picture ends early: expected ${count} samples, got ${found.length}`);
  return (at) => Number(found[at]);
}

function rawSamples(
  bytes: Uint8Array,
  start: number,
  {
    width,
    height,
    channels,
    isBitmap,
  }: { readonly width: number; readonly height: number; readonly channels: number; readonly isBitmap: boolean },
): (at: number) => number {
  const stride = isBitmap ? Math.ceil(width / 8) : width * channels;
  need(bytes, start + stride * height);
  if (!isBitmap) return (at) => bytes[start + at] ?? 0;
  return (at) => {
    const [x, y] = [at % width, Math.floor(at / width)];
    return ((bytes[start + y * stride + (x >> 3)] ?? 0) >> (7 - (x & 7))) & 1;
  };
}
