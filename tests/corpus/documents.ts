/** Documents that no reader should trip over: generated, the same for the same seed, nothing vendored. */
import sharp from 'sharp';
import { openPdf } from '../../jobs/document-ocr/pdf.ts';
import { makePdf, textPage } from '../support/make-pdf.ts';

export interface DocumentCase {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Default document. */
  readonly type?: 'invoice' | 'receipt' | 'document';
  /** Every outcome that is right: a code, or a status of the result. */
  readonly right: readonly string[];
  /** On a machine with nothing else to do. */
  readonly withinMs: number;
  /** What a page may take; default: as long as a page may. */
  readonly pageSeconds?: number;
}

/** mulberry32: small, and the same everywhere. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const bad = ['BAD_SOURCE'] as const;
const tooMuch = ['LIMIT_EXCEEDED'] as const;
const read = ['completed', 'review_required'] as const;
const anyResult = ['completed', 'review_required', 'failed'] as const;
/** Damage may hit anything; what counts is that it is never a crash. */
const whatever = [...anyResult, 'BAD_SOURCE', 'LIMIT_EXCEEDED'] as const;
const quick = 3_000;
const reading = 10_000;

const randomBytes = (random: () => number, length: number): Buffer =>
  Buffer.from(Uint8Array.from({ length }, () => Math.floor(random() * 256)));

const sentence = ['The quick brown dog jumped over the lazy fox.', 'A second line stands below the first one.'];

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

function pdfs(random: () => number): DocumentCase[] {
  const page = textPage(sentence.map((one) => one));
  const whole = makePdf({ pages: [page] });
  const of = (name: string, bytes: Uint8Array, right: readonly string[], withinMs = quick): DocumentCase => ({
    name,
    bytes,
    right,
    withinMs,
  });
  const text = (from: string | RegExp, to: string): Buffer =>
    Buffer.from(whole.toString('latin1').replace(from, to), 'latin1');
  const kids = (count: number): Buffer =>
    text(/\/Kids \[(\d+) 0 R\] \/Count 1/, `/Kids [${'6 0 R '.repeat(count)}] /Count ${count}`);
  const cut = [0.1, 0.5, 0.9].map((share) =>
    of(`a PDF cut after ${share * 100} %`, whole.subarray(0, Math.floor(whole.byteLength * share)), whatever, reading),
  );
  const flipped = Array.from({ length: 15 }, (_, place) => {
    const copy = Buffer.from(whole);
    for (let flips = 0; flips < 10; flips += 1) {
      const at = 9 + Math.floor(random() * (copy.byteLength - 9));
      copy[at] = (copy[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    }
    return of(`a PDF with flipped bits ${place}`, copy, whatever, reading);
  });
  return [
    of('a PDF', whole, ['completed']),
    of('a PDF with junk in front', Buffer.concat([Buffer.from('junk\n'), whole]), read),
    of('a PDF without its cross-reference', text(/xref[\s\S]*$/, ''), [...read, ...bad]),
    of('a PDF whose cross-reference points elsewhere', text(/startxref\n\d+/, 'startxref\n7'), read),
    of('a PDF with no pages', makePdf({ pages: [] }), bad),
    of('a PDF of an empty page', makePdf({ pages: [{}] }), ['failed']),
    of('a PDF of 50 pages', makePdf({ pages: Array.from({ length: 50 }, () => page) }), ['completed'], reading),
    of('a PDF of 51 pages', makePdf({ pages: Array.from({ length: 51 }, () => page) }), tooMuch),
    of('100,000 pages in 600 kB', kids(100_000), [...tooMuch, ...bad], reading),
    of('a page that is its own parent', text(/\/Kids \[\d+ 0 R\]/, '/Kids [2 0 R]'), whatever),
    of('a page 14,400 points wide', makePdf({ pages: [{ ...page, size: [14_400, 14_400] }] }), read),
    of('a page without an area', makePdf({ pages: [{ ...page, size: [0, 0] }] }), whatever),
    of('a page of less than nothing', text('[0 0 595 842]', '[595 842 0 0]'), whatever),
    of('a page as wide as numbers go', text('[0 0 595 842]', '[0 0 1e38 1e38]'), whatever),
    ...[90, 180, 270].map((rotate) =>
      of(`a page shown turned by ${rotate}°`, makePdf({ pages: [{ ...page, rotate }] }), ['completed']),
    ),
    of(
      'an encrypted PDF',
      text(
        '/Root 1 0 R',
        '/Root 1 0 R /Encrypt << /Filter /Standard /V 1 /R 2 /P -44 /O (12345678901234567890123456789012) /U (12345678901234567890123456789012) >> /ID [(a) (b)]',
      ),
      bad,
    ),
    of(
      'a PDF encrypted nobody knows how',
      text('/Root 1 0 R', '/Root 1 0 R /Encrypt << /Filter /Own /V 99 >> /ID [(a) (b)]'),
      bad,
    ),
    of(
      'a PDF that runs JavaScript',
      makePdf({
        pages: [page],
        catalog: '/OpenAction << /S /JavaScript /JS (app.launchURL\\("http://127.0.0.1/"\\)) >>',
      }),
      read,
    ),
    of(
      'a PDF that starts a program',
      makePdf({ pages: [page], catalog: '/OpenAction << /S /Launch /F (/bin/sh) >>' }),
      read,
    ),
    of(
      'a PDF that opens an address',
      makePdf({ pages: [page], catalog: '/OpenAction << /S /URI /URI (http://127.0.0.1/) >>' }),
      read,
    ),
    of('a PDF with an XFA form', makePdf({ pages: [page], catalog: '/AcroForm << /XFA (<xdp/>) /Fields [] >>' }), read),
    of(
      'a PDF with a program inside',
      makePdf({ pages: [page], files: [{ name: 'run.exe', bytes: Buffer.from('MZ') }] }),
      read,
    ),
    of('a picture that is no JBIG2', brokenPicture('/JBIG2Decode'), ['failed'], reading),
    of('a picture that is no JPX', brokenPicture('/JPXDecode'), ['failed'], reading),
    of('a picture that is no JPEG', brokenPicture('/DCTDecode'), ['failed'], reading),
    of('a picture that is no Flate', brokenPicture('/FlateDecode'), ['failed'], reading),
    of('a form that draws itself', formPdf(1, 1), [...anyResult, ...bad, ...tooMuch], reading),
    ...cut,
    ...flipped,
  ];
}

function brokenPicture(filter: string): Buffer {
  const picture = { width: 100, height: 100, data: Buffer.from('this is not what the filter expects'.repeat(20)) };
  const file = makePdf({ pages: [{ picture }] }).toString('latin1');
  return Buffer.from(file.replace('/BitsPerComponent 8', `/BitsPerComponent 8 /Filter ${filter}`), 'latin1');
}

/** Forms that draw the next one `fan` times: fan^depth pieces of text. `depth` 1 draws itself. */
export function formPdf(depth: number, fan: number): Buffer {
  const whole = makePdf({ pages: [textPage(['x'])] }).toString('latin1');
  const first = 100;
  const forms = Array.from({ length: depth }, (_, place) => {
    const next = place === depth - 1 ? first : first + place + 1;
    const isLeaf = depth > 1 && place === depth - 1;
    const content = isLeaf ? '0 0 5 5 re f' : '/X Do '.repeat(fan);
    return `${first + place} 0 obj\n<< /Type /XObject /Subtype /Form /BBox [0 0 600 850] /Resources << /XObject << /X ${next} 0 R >> >> /Length ${content.length} >>\nstream\n${content}\nendstream\nendobj\n`;
  }).join('');
  const named = whole
    .replace('/Resources << ', `/Resources << /XObject << /X ${first} 0 R >> `)
    .replace(/ {2}>> >>\nendobj/, ' >> >>\nendobj')
    .replace(/<< +\/Length (\d+) >>\nstream\n/, (_, length) => `<< /Length ${Number(length) + 6} >>\nstream\n/X Do\n`);
  // Without a cross-reference that fits, readers find the objects by looking for them.
  return Buffer.from(
    named.replace(/xref[\s\S]*trailer/, `${forms}trailer`).replace(/startxref\n\d+/, 'startxref\n0'),
    'latin1',
  );
}

function xml(): DocumentCase[] {
  const of = (name: string, text: string, right: readonly string[] = bad): DocumentCase => ({
    name: `XML: ${name}`,
    bytes: Buffer.from(text),
    type: 'invoice',
    right,
    withinMs: quick,
  });
  const laughs = Array.from({ length: 12 }, (_, level) => `<!ENTITY l${level + 1} "${`&l${level};`.repeat(10)}">`).join(
    '',
  );
  return [
    of('no invoice', '<rss><channel/></rss>'),
    of('an empty root', '<Invoice/>'),
    of('an invoice that says nothing', '<Invoice><Note>-</Note></Invoice>', ['failed']),
    of('a DTD elsewhere', '<!DOCTYPE Invoice SYSTEM "http://127.0.0.1:1/x.dtd"><Invoice/>'),
    of(
      'a file of the machine',
      '<?xml version="1.0"?><!DOCTYPE I [<!ENTITY x SYSTEM "file:///etc/passwd">]><Invoice><ID>&x;</ID></Invoice>',
    ),
    of(
      'a billion laughs',
      `<?xml version="1.0"?><!DOCTYPE I [<!ENTITY l0 "ha">${laughs}]><Invoice><ID>&l12;</ID></Invoice>`,
    ),
    of('not closed', '<Invoice><ID>1'),
    of('closed in the wrong order', '<Invoice><a><b></a></b></Invoice>'),
    of('100,000 levels', `<Invoice>${'<a>'.repeat(100_000)}`),
    of('a prototype', '<Invoice><__proto__><x>1</x></__proto__></Invoice>'),
    of(
      'an amount beyond numbers',
      '<Invoice><ID>1</ID><LegalMonetaryTotal><PayableAmount>1e999</PayableAmount></LegalMonetaryTotal></Invoice>',
      ['failed'],
    ),
    of(
      'an amount that is text',
      '<Invoice><ID>1</ID><LegalMonetaryTotal><PayableAmount>NaN</PayableAmount></LegalMonetaryTotal></Invoice>',
      ['failed'],
    ),
    of('an encoding nobody knows', '<?xml version="1.0" encoding="x-none"?><Invoice/>'),
    of(
      '10,001 lines',
      `<Invoice><ID>1</ID>${'<InvoiceLine><LineExtensionAmount>1</LineExtensionAmount></InvoiceLine>'.repeat(10_001)}</Invoice>`,
      tooMuch,
    ),
    of('11 MB', `<Invoice><Note>${'x'.repeat(11_000_000)}</Note></Invoice>`, tooMuch),
  ];
}

function embeddedXml(): DocumentCase[] {
  const inside = (name: string, text: string, right: readonly string[]): DocumentCase => ({
    name: `a PDF with XML inside: ${name}`,
    bytes: makePdf({
      pages: [textPage(['Seller Inc.', ['Invoice No: A-77', 'Invoice Date: 2026-02-17'], ['Total:', 'USD 30.00']])],
      files: [{ name: 'factur-x.xml', bytes: Buffer.from(text) }],
    }),
    type: 'invoice',
    right,
    withinMs: reading,
  });
  return [
    // The print is read, and a person looks.
    inside('a DTD', '<!DOCTYPE I [<!ENTITY x SYSTEM "file:///etc/passwd">]><Invoice><ID>&x;</ID></Invoice>', [
      'review_required',
    ]),
    inside('not well-formed', '<Invoice><ID>', ['review_required']),
    inside('no invoice', '<rss/>', read),
    inside('empty', ' ', [...read]),
  ];
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
