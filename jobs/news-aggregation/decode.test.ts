import { describe, expect, test } from 'vitest';
import { decode } from './decode.ts';

const utf16 = (text: string, isBig: boolean): Buffer => {
  const bytes = Buffer.from(text, 'utf16le');
  return isBig ? bytes.swap16() : bytes;
};
/** Cyrillic in windows-1251 and KOI8-R, long enough for a detector. */
const russian = 'Наверное единственное во что сегодня можно верить безоговорочно так это в то что Новый год наступит';
const koi8 = (text: string): Buffer => {
  const decoder = new TextDecoder('koi8-r');
  const table = new Map(Array.from({ length: 256 }, (_, byte) => [decoder.decode(Uint8Array.of(byte)), byte]));
  return Buffer.from(Array.from(text, (char) => table.get(char) ?? 0x3f));
};

describe('a feed is decoded', () => {
  test.each([
    ['UTF-8 without any word', Buffer.from('<a>é€</a>'), undefined, 'utf-8', '<a>é€</a>'],
    [
      'what HTTP says',
      Buffer.from('<a>\xe9</a>', 'latin1'),
      'text/xml; charset="ISO-8859-1"',
      'windows-1252',
      '<a>é</a>',
    ],
    [
      'HTTP before the declaration',
      Buffer.from('<?xml version="1.0" encoding="koi8-r"?><a>\xe9</a>', 'latin1'),
      'text/xml;charset=latin1',
      'windows-1252',
      'é',
    ],
    [
      'the declaration',
      Buffer.from("<?xml version='1.0' encoding='windows-1252'?><a>\x80</a>", 'latin1'),
      'text/xml',
      'windows-1252',
      '€',
    ],
    ['a mark, whatever HTTP says', Buffer.from('\ufeff<a>é</a>'), 'text/xml; charset=iso-8859-1', 'utf-8', '<a>é</a>'],
    ['UTF-16 with a mark', utf16('\ufeff<a>é</a>', true), undefined, 'utf-16be', '<a>é</a>'],
    ['UTF-16 by its zeroes', utf16('<a>é</a>', false), 'text/xml; charset=utf-8', 'utf-16le', '<a>é</a>'],
    ['UTF-16 big-endian by its zeroes', utf16('{"a":"é"}', true), undefined, 'utf-16be', '{"a":"é"}'],
    [
      'ASCII that calls itself UTF-16',
      Buffer.from('<?xml version="1.0" encoding="utf-16"?><a/>'),
      'text/xml; charset=utf-16',
      'utf-8',
      '<a/>',
    ],
    ['HTTP that names no encoding', Buffer.from('<a>é</a>'), 'text/xml; charset=klingon', 'utf-8', '<a>é</a>'],
    [
      'HTTP that is wrong',
      Buffer.from('<?xml version="1.0" encoding="iso-8859-1"?><a>\xe9</a>', 'latin1'),
      'text/xml; charset=utf-8',
      'windows-1252',
      'é',
    ],
    [
      'a declaration that is wrong',
      Buffer.from(
        '<?xml version="1.0" encoding="utf-8"?><a>L\xedder na pesquisa de inten\xe7\xe3o de voto para o primeiro turno</a>',
        'latin1',
      ),
      undefined,
      'windows-1252',
      'Líder na pesquisa de intenção',
    ],
    [
      'by detection',
      koi8(`<rss><title>${russian}</title></rss>`),
      undefined,
      'koi8-r',
      `<rss><title>${russian}</title></rss>`,
    ],
    ['nothing at all', Buffer.alloc(0), undefined, 'utf-8', ''],
  ])('by %s', (_name, bytes, contentType, encoding, text) => {
    const decoded = decode(bytes, contentType);
    expect(decoded.encoding).toBe(encoding);
    expect(decoded.text).toContain(text);
  });

  test('by detection however late the first letter that is no ASCII comes', () => {
    const bytes = Buffer.concat([Buffer.from(`<a>${' '.repeat(300_000)}`), koi8(russian)]);
    expect(decode(bytes, undefined).encoding).toBe('koi8-r');
  });

  test('or refused when it breaks off in the middle of UTF-16', () => {
    expect(() => decode(utf16('\ufeff<a/>', false).subarray(0, 9), undefined)).toThrow(/cannot be read as that/);
  });
});
