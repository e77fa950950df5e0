/** Pictures that nobody should send, and what must become of each: generated, seeded, nothing taken from anywhere. Long because it is a list. */
import { crc32, deflateSync, gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import sharp, { type Sharp } from 'sharp';

type Ending = 'BAD_SOURCE' | 'FORBIDDEN_TARGET' | 'LIMIT_EXCEEDED' | 'PAYLOAD_INVALID' | 'done';

interface ImageCase {
  readonly name: string;
  /** What the job must end as; several where a random change decides. */
  readonly ends: readonly Ending[];
  readonly bytes: () => Buffer | string | Promise<Buffer>;
  /** Over the defaults of the test: one small WebP. */
  readonly payload?: object;
  /** Of the one variant, where it must be made. */
  readonly size?: string;
}

const seed = 20_261_121;
const bad = ['BAD_SOURCE'] as const;
const tooMuch = ['LIMIT_EXCEEDED'] as const;
const fine = ['done'] as const;
const refused = ['BAD_SOURCE', 'LIMIT_EXCEEDED'] as const;
const any = ['done', 'BAD_SOURCE', 'LIMIT_EXCEEDED'] as const;

const made = (name: string, ends: readonly Ending[], bytes: ImageCase['bytes'], size?: string): ImageCase => ({
  name,
  ends,
  bytes,
  ...(size === undefined ? {} : { size }),
});

/** Noise of 64 × 48, so that every byte of a file says something. */
function noise(channels: 3 | 4 = 3): Sharp {
  let state = seed;
  const pixels = Buffer.from(
    Array.from({ length: 64 * 48 * channels }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state >>> 24;
    }),
  );
  return sharp(pixels, { raw: { width: 64, height: 48, channels } });
}

const formats = {
  jpeg: () => noise().jpeg().toBuffer(),
  png: () => noise().png().toBuffer(),
  webp: () => noise().webp().toBuffer(),
  gif: () => noise().gif().toBuffer(),
  avif: () => noise().avif({ effort: 0 }).toBuffer(),
  tiff: () => noise().tiff().toBuffer(),
  svg: async () =>
    Buffer.from(
      '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48"><rect width="32" height="48" fill="red"/></svg>',
    ),
} as const;
const all = Object.entries(formats);

const random = (bytes: number, n = 0): Buffer =>
  Buffer.from(
    fc.sample(fc.uint8Array({ minLength: bytes, maxLength: bytes }), { seed: seed + n, numRuns: 1 })[0] ?? [],
  );

const noImages: readonly ImageCase[] = [
  ['nothing', ''],
  ['one byte', 'x'],
  ['white space', ' '.repeat(5_000)],
  ['text', 'lorem ipsum '.repeat(500)],
  ['a web page', '<!DOCTYPE html><html><body><svg width="9" height="9"></svg></body></html>'],
  ['a page called svg', '<html><svg xmlns="http://www.w3.org/2000/svg"/></html>'],
  ['JSON', '{"width": 64}'],
  ['a PDF', '%PDF-1.7\n1 0 obj<<>>endobj'],
  ['PostScript', '%!PS-Adobe-3.0 EPSF-3.0'],
  ['a BMP', 'BM\x46\0\0\0\0\0\0\0\x36\0\0\0'],
  ['an icon', '\0\0\x01\0\x01\0\x10\x10\0\0'],
  ['a Photoshop file', '8BPS\0\x01'],
  ['an archive', 'PK\x03\x04\x14\0\0\0'],
  ['a program', '\x7fELF\x02\x01\x01\0'],
  ['a video', '\0\0\0\x18ftypisom\0\0\x02\0isomiso2'],
  ['a sequence of pictures', '\0\0\0\x18ftypavis\0\0\0\0avismif1'],
  ['a HEIC without anything inside', '\0\0\0\x18ftypheic\0\0\0\0heicmif1'],
  ['an AVIF without anything inside', '\0\0\0\x18ftypavif\0\0\0\0avifmif1'],
  ['a JPEG XL', '\0\0\0\x0cJXL \r\n\x87\n'],
  ['ImageMagick vector graphics', 'push graphic-context\nfill url(https://evil.example/x)\npop graphic-context'],
  ['a list of files', 'caption:@/etc/passwd'],
].map(([name = '', text = '']) => made(name, bad, () => Buffer.from(text, 'latin1')));

const starts: Readonly<Record<string, string>> = {
  jpeg: '\xff\xd8\xff\xe0',
  png: '\x89PNG\r\n\x1a\n',
  gif: 'GIF89a',
  webp: 'RIFF\0\0\0\0WEBP',
  tiff: 'II*\0',
  'big-endian tiff': 'MM\0*',
  svg: '<svg ',
};
const onlyStarts = Object.entries(starts).flatMap(([name, text]) => [
  made(`${name}: the first bytes and nothing else`, bad, () => Buffer.from(text, 'latin1')),
  made(`${name}: the first bytes, then noise`, refused, () =>
    Buffer.concat([Buffer.from(text, 'latin1'), random(4_000)]),
  ),
]);

const cutOff = all.flatMap(([name, make]) =>
  [10, 50, 90].map((percent) =>
    made(`${name} cut off at ${percent} %`, percent === 90 || name === 'tiff' ? any : refused, async () => {
      const whole = await make();
      return whole.subarray(0, Math.floor((whole.length * percent) / 100));
    }),
  ),
);

const flipped = all.flatMap(([name, make]) =>
  fc
    .sample(
      fc.array(fc.tuple(fc.double({ min: 0, max: 0.999, noNaN: true }), fc.nat(7)), { minLength: 1, maxLength: 8 }),
      {
        seed,
        numRuns: 4,
      },
    )
    .map((flips, n) =>
      made(`${name} with flipped bits, ${n + 1}`, any, async () => {
        const bytes = Buffer.from(await make());
        for (const [share, bit] of flips) {
          const at = Math.floor(share * bytes.length);
          bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << bit), at);
        }
        return bytes;
      }),
    ),
);

const script = '<script>alert(1)</script>';
const behind = (make: () => Promise<Buffer>, tail: Buffer | string) => async () =>
  Buffer.concat([await make(), Buffer.from(tail)]);
const polyglots: readonly ImageCase[] = [
  made('a GIF that is a script', fine, behind(formats.gif, `=1;${script}`), '64x48'),
  made(
    'a JPEG that is an archive',
    fine,
    behind(formats.jpeg, Buffer.concat([Buffer.from('PK\x03\x04'), gzipSync(script)])),
    '64x48',
  ),
  made('a PNG with a page behind it', fine, behind(formats.png, `<html>${script}</html>`), '64x48'),
  made('a WebP with a page behind it', any, behind(formats.webp, `<html>${script}</html>`)),
  made(
    'a JPEG with a script in its comment',
    fine,
    async () => {
      const bytes = await formats.jpeg();
      const text = Buffer.from(script);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(text.length + 2);
      return Buffer.concat([bytes.subarray(0, 2), Buffer.of(0xff, 0xfe), length, text, bytes.subarray(2)]);
    },
    '64x48',
  ),
  made(
    'a PNG with a script in its text',
    fine,
    async () => {
      const bytes = await formats.png();
      return Buffer.concat([
        bytes.subarray(0, 33),
        chunk('tEXt', Buffer.from(`Comment\0${script}`)),
        bytes.subarray(33),
      ]);
    },
    '64x48',
  ),
];

const colours: readonly ImageCase[] = [
  made('CMYK', fine, () => noise().toColourspace('cmyk').jpeg().toBuffer(), '64x48'),
  made('16 bits', fine, () => noise().toColourspace('rgb16').png().toBuffer(), '64x48'),
  made('16 bits in TIFF', fine, () => noise().toColourspace('rgb16').tiff().toBuffer(), '64x48'),
  made('grey', fine, () => noise().greyscale().png().toBuffer(), '64x48'),
  made('grey JPEG', fine, () => noise().greyscale().jpeg().toBuffer(), '64x48'),
  made('transparent', fine, () => noise(4).png().toBuffer(), '64x48'),
  made('transparent WebP', fine, () => noise(4).webp({ lossless: true }).toBuffer(), '64x48'),
  made('a palette', fine, () => noise().png({ palette: true, colours: 4 }).toBuffer(), '64x48'),
  made('black and white', fine, () => noise().threshold().tiff({ bitdepth: 1 }).toBuffer(), '64x48'),
  made('interlaced', fine, () => noise().png({ progressive: true }).toBuffer(), '64x48'),
  made('a colour profile of noise', any, async () => {
    const bytes = await formats.jpeg();
    const profile = Buffer.concat([Buffer.from('ICC_PROFILE\0\x01\x01', 'latin1'), random(500)]);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(profile.length + 2);
    return Buffer.concat([bytes.subarray(0, 2), Buffer.of(0xff, 0xe2), length, profile, bytes.subarray(2)]);
  }),
  made(
    'one pixel',
    fine,
    () =>
      sharp({ create: { width: 1, height: 1, channels: 3, background: 'red' } })
        .png()
        .toBuffer(),
    '1x1',
  ),
  made(
    'a line',
    fine,
    () =>
      sharp({ create: { width: 8_000, height: 1, channels: 3, background: 'red' } })
        .png()
        .toBuffer(),
    '64x1',
  ),
];

const turned = Array.from({ length: 8 }, (_, n) =>
  made(
    `orientation ${n + 1}`,
    fine,
    () =>
      noise()
        .jpeg()
        .withMetadata({ orientation: n + 1 })
        .toBuffer(),
    n < 4 ? '64x48' : '48x64',
  ),
);
const places = (['jpeg', 'webp', 'png'] as const).map((format) =>
  made(
    `a place in ${format}`,
    fine,
    () =>
      noise()
        .toFormat(format)
        .withExif({ IFD0: { Copyright: 'alert(1)' }, IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '51/1 30/1 0/1' } })
        .toBuffer(),
    '64x48',
  ),
);

/** GIF of `frames` empty frames of 1 × 1. */
function gifOf(frames: number, width = 1, height = 1): Buffer {
  const head = Buffer.from('GIF89a\0\0\0\0\x80\0\0\0\0\0\xff\xff\xff', 'latin1');
  head.writeUInt16LE(width, 6);
  head.writeUInt16LE(height, 8);
  const frame = Buffer.from('21f904000a0000002c0000000001000100000202440100', 'hex');
  return Buffer.concat([head, ...Array.from({ length: frames }, () => frame), Buffer.from(';')]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}

function pngOf(width: number, height: number, data: Buffer = deflateSync(Buffer.alloc(1_000))): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([1, 0, 0, 0, 0], 8);
  const start = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  return Buffer.concat([start, chunk('IHDR', head), chunk('IDAT', data), chunk('IEND', Buffer.of())]);
}

/** Little-endian TIFF whose directories follow one another; the last one points to `next`. */
function tiffOf(directories: number, fields: readonly (readonly [number, number])[], next = 0): Buffer {
  const size = 2 + fields.length * 12 + 4;
  const out = Buffer.alloc(8 + directories * size + 64);
  out.write('II*\0', 'latin1');
  out.writeUInt32LE(8, 4);
  for (let n = 0; n < directories; n += 1) {
    let at = 8 + n * size;
    out.writeUInt16LE(fields.length, at);
    at += 2;
    for (const [tag, value] of fields) {
      out.writeUInt16LE(tag, at);
      out.writeUInt16LE(4, at + 2);
      out.writeUInt32LE(1, at + 4);
      out.writeUInt32LE(value, at + 8);
      at += 12;
    }
    out.writeUInt32LE(n + 1 < directories ? 8 + (n + 1) * size : next, at);
  }
  return out;
}
const strips = (width: number, height: number): [number, number][] => [
  [256, width],
  [257, height],
  [258, 8],
  [259, 1],
  [262, 1],
  [273, 8],
  [277, 1],
  [278, height],
  [279, 64],
];

const bombs: readonly ImageCase[] = [
  made('a PNG of 16,000²', tooMuch, () => pngOf(16_000, 16_000, deflateSync(Buffer.alloc(32_016_000)))),
  made('a PNG of 20,000² with nothing in it', tooMuch, () => pngOf(20_000, 20_000)),
  made('a PNG of 2³¹ pixels a side', refused, () => pngOf(0x7fffffff, 0x7fffffff)),
  made('a PNG of no width', bad, () => pngOf(0, 10)),
  made('a PNG of 7,072²: one pixel row too many', tooMuch, () => pngOf(7_072, 7_072)),
  made('a JPEG of 65,500²', refused, async () => {
    const bytes = Buffer.from(await formats.jpeg());
    const at = bytes.indexOf(Buffer.of(0xff, 0xc0));
    bytes.writeUInt16BE(65_500, at + 5);
    bytes.writeUInt16BE(65_500, at + 7);
    return bytes;
  }),
  // Its loader takes the size of the first frame.
  made('a GIF of 65,535²', any, () => gifOf(1, 65_535, 65_535)),
  made('a GIF of 301 frames', tooMuch, () => gifOf(301)),
  made('a GIF of 5,000 frames', tooMuch, () => gifOf(5_000)),
  made('a GIF of 200 frames of 600²: too many pixels over all', tooMuch, () => gifOf(200, 600, 600)),
  made('a GIF of 100 frames', fine, () => gifOf(100), '1x1'),
  made('a TIFF of 100,000²', refused, () => tiffOf(1, strips(100_000, 100_000))),
  made('a TIFF of 100,000 directories', any, () => tiffOf(100_000, strips(1, 1))),
  made('a TIFF that goes round', any, () => tiffOf(2, strips(1, 1), 8)),
  made('a TIFF with a huge tile', refused, () =>
    tiffOf(1, [
      [256, 64],
      [257, 64],
      [258, 8],
      [259, 1],
      [262, 1],
      [277, 1],
      [322, 1 << 30],
      [323, 1 << 30],
      [324, 8],
      [325, 64],
    ]),
  ),
  made('a TIFF that counts beyond its end', bad, () => tiffOf(1, strips(1, 1)).fill(0xff, 8, 10)),
];

const svg = (inside: string, head = '', facts = 'width="64" height="48"'): string =>
  `${head}<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" ${facts}>${inside}</svg>`;
const drawings: readonly ImageCase[] = [
  made('SVG: a picture on disk', any, () => svg('<image href="file:///etc/passwd" width="9" height="9"/>')),
  made('SVG: a picture elsewhere', any, () =>
    svg('<image xlink:href="http://169.254.169.254/" width="9" height="9"/>'),
  ),
  made('SVG: a style elsewhere', any, () => svg('<style>@import url("http://127.0.0.1:1/x.css");</style>')),
  made('SVG: a style sheet on disk', any, () => svg('', '<?xml-stylesheet href="file:///etc/passwd"?>')),
  made('SVG: XInclude', any, () =>
    svg('<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="/etc/passwd" parse="text"/>'),
  ),
  made('SVG: a file by entity', bad, () =>
    svg('<text>&x;</text>', '<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
  ),
  made('SVG: a billion laughs', bad, () =>
    svg(
      '<text>&l9;</text>',
      `<!DOCTYPE svg [<!ENTITY l0 "lol">${Array.from({ length: 9 }, (_, n) => `<!ENTITY l${n + 1} "${`&l${n};`.repeat(10)}">`).join('')}]>`,
    ),
  ),
  made('SVG: a script', fine, () => svg(script), '64x48'),
  made(
    'SVG: a page inside',
    fine,
    () =>
      svg(
        `<foreignObject width="9" height="9"><body xmlns="http://www.w3.org/1999/xhtml">${script}</body></foreignObject>`,
      ),
    '64x48',
  ),
  made('SVG: 30,000²', tooMuch, () => svg('', '', 'width="30000" height="30000"')),
  made('SVG: no width', refused, () => svg('', '', 'width="0" height="0"')),
  made('SVG: negative', refused, () => svg('', '', 'width="-5" height="-5"')),
  made('SVG: NaN', any, () => svg('', '', 'width="NaN" height="1e400"')),
  made('SVG: that uses itself', any, () => svg('<g id="a"><use href="#a"/></g>')),
  made('SVG: a circle of uses', any, () => svg('<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g>')),
  made('SVG: a circle of patterns', any, () =>
    svg(
      '<pattern id="p" width="1" height="1"><rect fill="url(#p)" width="9" height="9"/></pattern><rect fill="url(#p)" width="64" height="48"/>',
    ),
  ),
  made('SVG: 20,000 deep', any, () => svg('<g>'.repeat(20_000))),
  made('SVG: packed', bad, () => gzipSync(svg(''))),
  made('SVG: broken off', bad, () => svg('<rect width="9" height="9"').slice(0, 120)),
  made('SVG: in UTF-16', any, () => Buffer.from(`\ufeff${svg('')}`, 'utf16le')),
];

const png = formats.png;
const asked = (name: string, payload: object): ImageCase => ({ name, ends: ['PAYLOAD_INVALID'], bytes: png, payload });
const payloads: readonly ImageCase[] = [
  ...[0, -1, 1.5, 8_193, 1e9, 1e308, '64', null].map((width) =>
    asked(`a width of ${JSON.stringify(width)}`, { widths: [width] }),
  ),
  asked('no width', { widths: [] }),
  asked('eleven widths', { widths: Array.from({ length: 11 }, (_, n) => n + 1) }),
  asked('no format', { formats: [] }),
  asked('a format nobody makes', { formats: ['bmp'] }),
  asked('another field', { quality: 100 }),
  ...['file:///etc/passwd', '/etc/passwd', 'http://e.example/a.png', 'object:', ''].map((source) =>
    asked(`a source of "${source}"`, { source }),
  ),
  ...[
    'object:t/other/a.png',
    'object:t/-/../other/a.png',
    'object:../../etc/passwd',
    'https://127.0.0.1/a.png',
    'https://169.254.169.254/',
    'https://0x7f.1/',
    's3://somebody/a.png',
  ].map(
    (source): ImageCase => ({
      name: `the source ${source}`,
      ends: ['FORBIDDEN_TARGET'],
      bytes: png,
      payload: { source },
    }),
  ),
  { name: 'a source that is not there', ends: bad, bytes: png, payload: { source: 'object:t/-/none.png' } },
];

export const imageCases: readonly ImageCase[] = [
  ...noImages,
  ...onlyStarts,
  ...cutOff,
  ...flipped,
  ...polyglots,
  ...colours,
  ...turned,
  ...places,
  ...bombs,
  ...drawings,
  ...payloads,
];
