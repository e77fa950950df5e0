/** Documents that no reader should trip over: generated, the same for the same seed, nothing vendored. */
import sharp from 'sharp';
import { openPdf } from '../../jobs/document-ocr/pdf.ts';
import { makePdf } from '../support/make-pdf.ts';
import {
  anyResult,
  bad,
  type DocumentCase,
  quick,
  read,
  reading,
  seeded,
  sentence,
  tooMuch,
  whatever,
} from './document-case.ts';
import { embeddedXml, pdfs, xml } from './document-files.ts';

const randomBytes = (random: () => number, length: number): Buffer =>
  Buffer.from(Uint8Array.from({ length }, () => Math.floor(random() * 256)));

interface Grey {
  readonly width: number;
  readonly height: number;
  readonly data: Buffer;
}

/** Black text on white, drawn by PDFium. */
async function textPicture(dpi = 150): Promise<Grey> {
  const texts = sentence.map((text, row) => ({ text, x: 20, y: 40 + row * 30, size: 14 }));
  const page = (await openPdf(makePdf({ pages: [{ texts, size: [400, 120] }] }))).page(0);
  const drawn = page.draw(dpi);
  page.close();
  if (drawn === undefined) throw new Error('expected a picture of the page');
  return { width: drawn.width, height: drawn.height, data: drawn.data };
}

const open = ({ data, width, height }: Grey) => sharp(data, { raw: { width, height, channels: 1 } });

function wrongKinds(random: () => number): DocumentCase[] {
  const texts: [string, string][] = [
    ['one byte', 'x'],
    ['plain text', 'Invoice No. 1\nTotal 5.00\n'],
    ['an HTML page', '<!doctype html><html><body>Total 5.00</body></html>'],
    ['an SVG', '<svg xmlns="http://www.w3.org/2000/svg"><text>5.00</text></svg>'],
    ['a zip', 'PK\x03\x04rest of an archive'],
    ['an old office file', '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1'],
    ['an RTF', '{\\rtf1 Total 5.00}'],
    ['JSON', '{"total": 5}'],
    ['a video', '\0\0\0\x18ftypmp42\0\0\0\0'],
    ['a HEIC', '\0\0\0\x18ftypheic\0\0\0\0'],
    ['a shell script', '#!/bin/sh\nrm -rf /\n'],
    ['only the header of a PDF', '%PDF-1.7\n'],
    ['only the header of a PNG', '\x89PNG\r\n\x1a\n'],
    ['only the header of a JPEG', '\xff\xd8\xff\xe0'],
    ['only the header of a GIF', 'GIF89a'],
    ['only the header of a TIFF', 'II*\0'],
    ['a TIFF whose directory points at itself', 'II*\0\x08\0\0\0\0\0\x08\0\0\0'],
    ['only the header of a WebP', 'RIFF\0\0\0\0WEBP'],
    ['only the header of a BMP', 'BM'],
    ['a PNM without numbers', 'P5 many few\n'],
    ['a PNM of 2 billion pixels', 'P5 50000 50000 255\n'],
  ];
  const known = texts.map(([name, text]) => ({
    name,
    bytes: Buffer.from(text, 'latin1'),
    right: /2 billion/.test(name) ? tooMuch : bad,
    withinMs: quick,
  }));
  const noise = Array.from({ length: 10 }, (_, place) => ({
    name: `random bytes ${place}`,
    // The first byte belongs to no format.
    bytes: Buffer.concat([Buffer.from([0x07]), randomBytes(random, 2_000 + place * 500)]),
    right: bad,
    withinMs: quick,
  }));
  return [...known, ...noise];
}

async function damagedPictures(random: () => number): Promise<DocumentCase[]> {
  const text = await textPicture();
  const files = {
    png: await open(text).png().toBuffer(),
    jpeg: await open(text).jpeg().toBuffer(),
    webp: await open(text).webp({ lossless: true }).toBuffer(),
    tiff: await open(text).tiff({ compression: 'none' }).toBuffer(),
    pgm: Buffer.concat([Buffer.from(`P5 ${text.width} ${text.height} 255\n`), text.data]),
  };
  const cut = Object.entries(files).flatMap(([format, bytes]) =>
    [0.1, 0.5, 0.9].map((share) => ({
      name: `${format} cut after ${share * 100} %`,
      bytes: bytes.subarray(0, Math.floor(bytes.byteLength * share)),
      right: bad,
      withinMs: quick,
    })),
  );
  const flipped = [files.png, files.jpeg, files.webp, files.tiff].flatMap((bytes, format) =>
    Array.from({ length: 3 }, (_, place) => {
      const copy = Buffer.from(bytes);
      for (let flips = 0; flips < 8; flips += 1) {
        const at = 16 + Math.floor(random() * (copy.byteLength - 16));
        copy[at] = (copy[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      }
      const name = `${Object.keys(files)[format]} with flipped bits ${place}`;
      return { name, bytes: copy, right: whatever, withinMs: reading };
    }),
  );
  return [...cut, ...flipped];
}

async function poorPictures(random: () => number): Promise<DocumentCase[]> {
  const text = await textPicture();
  const flat = async (width: number, height: number, grey: number): Promise<Buffer> =>
    sharp({ create: { width, height, channels: 3, background: { r: grey, g: grey, b: grey } } })
      .png({ compressionLevel: 1 })
      .toBuffer();
  const noise = (side: number): Promise<Buffer> =>
    sharp(randomBytes(random, side * side), { raw: { width: side, height: side, channels: 1 } })
      .png()
      .toBuffer();
  const around = (degrees: number) => open(text).rotate(degrees, { background: '#ffffff' }).png().toBuffer();
  const of = (name: string, bytes: Uint8Array, right: readonly string[], withinMs = reading): DocumentCase => ({
    name,
    bytes,
    right,
    withinMs,
  });
  return [
    of('upright text', await open(text).png().toBuffer(), ['completed']),
    of('turned by 90°', await around(90), read),
    of('turned by 180°', await around(180), read),
    of('turned by 270°', await around(270), read),
    of('turned by 5°', await around(5), read),
    of('turned by −5°', await around(-5), read),
    of('low contrast', await open(text).linear(0.15, 150).png().toBuffer(), anyResult),
    of('white on black', await open(text).negate().png().toBuffer(), anyResult),
    of('blurred', await open(text).blur(3).png().toBuffer(), anyResult),
    of(
      '50 dpi',
      await open(await textPicture(50))
        .png()
        .toBuffer(),
      anyResult,
    ),
    of(
      '1200 dpi',
      await open(await textPicture(1_200))
        .png()
        .toBuffer(),
      anyResult,
      30_000,
    ),
    of('a JPEG of quality 1', await open(text).jpeg({ quality: 1 }).toBuffer(), anyResult),
    of('blank white', await flat(600, 800, 255), ['failed']),
    of('blank black', await flat(600, 800, 0), ['failed']),
    of('one pixel', await flat(1, 1, 255), [...anyResult, ...bad]),
    of('two pixels', await flat(2, 1, 0), [...anyResult, ...bad]),
    of('a strip a pixel high', await flat(4_000, 1, 128), [...anyResult, ...bad]),
    of('a strip a pixel wide', await flat(1, 4_000, 128), [...anyResult, ...bad]),
    of('white of 49 megapixels', await flat(7_000, 7_000, 255), ['failed'], 30_000),
    of('white of 51 megapixels', await flat(7_150, 7_150, 255), tooMuch),
    of('white of 12,000 × 12,000', await flat(12_000, 12_000, 255), tooMuch),
    { ...of('noise', await noise(300), ['failed', 'review_required', 'LIMIT_EXCEEDED']), pageSeconds: 2 },
    { ...of('noise of 3,000 × 3,000', await noise(3_000), tooMuch), pageSeconds: 2 },
    of(
      'transparent',
      await sharp({ create: { width: 300, height: 200, channels: 4, background: '#00000000' } })
        .png()
        .toBuffer(),
      ['failed'],
    ),
    of('strokes like handwriting', await strokes(random), ['failed', 'review_required']),
    of('a TIFF of two pages', await pagesTiff(text, 2), read),
    of('a TIFF of 51 pages', await pagesTiff(text, 51), tooMuch),
  ];
}

/** Lines of random strokes: what a script nobody taught the engine looks like. */
async function strokes(random: () => number): Promise<Buffer> {
  const [width, height] = [700, 300];
  const data = Buffer.alloc(width * height, 255);
  for (let stroke = 0; stroke < 260; stroke += 1) {
    let [x, y] = [random() * width, 40 + Math.floor(random() * 4) * 60 + random() * 25];
    const [dx, dy] = [random() * 2 - 1, random() * 2 - 1];
    for (let step = 0; step < 18; step += 1) {
      for (const [ox, oy] of [
        [0, 0],
        [1, 0],
        [0, 1],
      ] as const) {
        const at = Math.floor(y + oy) * width + Math.floor(x + ox);
        if (at >= 0 && at < data.length) data[at] = 0;
      }
      x += dx;
      y += dy + Math.sin(step / 3);
    }
  }
  return sharp(data, { raw: { width, height, channels: 1 } })
    .png()
    .toBuffer();
}

async function pagesTiff({ width, height, data }: Grey, pages: number): Promise<Buffer> {
  const tall = Buffer.concat(Array.from({ length: pages }, () => data));
  return sharp(tall, { raw: { width, height: height * pages, channels: 1, pageHeight: height } })
    .tiff({ compression: 'lzw' })
    .toBuffer();
}

/** About 140 cases. Make them before a handler runs in this process: it takes the loaders away that they are made with. */
export async function documentCases(seed = 1): Promise<readonly DocumentCase[]> {
  const random = seeded(seed);
  return [
    ...wrongKinds(random),
    ...(await damagedPictures(random)),
    ...(await poorPictures(random)),
    ...pdfs(random),
    ...xml(),
    ...embeddedXml(),
  ];
}
