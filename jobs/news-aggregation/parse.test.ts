import { describe, expect, test } from 'vitest';
import { JobError } from '../errors.ts';
import { parse } from './parse.ts';

const url = 'https://feed.example/dir/feed';
const codeOf = (text: string): string => {
  try {
    return parse(text, url).format;
  } catch (error) {
    return error instanceof JobError ? error.code : String(error);
  }
};

describe('a feed', () => {
  test('of RSS says identity, dates, pace and text', () => {
    const feed = parse(
      `<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>T</title><link>https://site.example/</link><ttl>90</ttl>
       <skipHours><hour>3</hour></skipHours><skipDays><day>Sunday</day></skipDays>
       <item><title>A &amp;amp; B</title><guid isPermaLink="false">x</guid><dc:creator>Ada</dc:creator><author>ada@example.com (Ada)</author>
       <dc:date>2020-01-01</dc:date></item></channel></rss>`,
      url,
    );
    expect(feed).toMatchObject({ format: 'rss', link: 'https://site.example/', problems: [] });
    expect(feed.wishes).toMatchObject({ ttl: 90, skipHours: [3], skipDays: ['Sunday'] });
    expect(feed.items[0]).toMatchObject({
      guid: 'x',
      isPermalink: false,
      date: '2020-01-01',
      authors: ['Ada'],
      title: { isHtml: true },
    });
  });

  test('of Atom resolves links against xml:base of feed and entry, else its address', () => {
    const atom = (base: string, own: string) =>
      parse(
        `<feed xmlns="http://www.w3.org/2005/Atom"${base}><title>T</title><entry${own}><id>1</id><title type="html">&lt;b&gt;x&lt;/b&gt;</title><link rel="self" href="no"/><link href="a"/></entry></feed>`,
        url,
      ).items[0];
    expect(atom('', '')).toMatchObject({ base: url, link: 'a', title: { value: '<b>x</b>', isHtml: true } });
    expect(atom(' xml:base="https://b.example/x/"', '')?.base).toBe('https://b.example/x/');
    expect(atom(' xml:base="https://b.example/x/"', ' xml:base="y/"')?.base).toBe('https://b.example/x/y/');
    expect(atom(' xml:base="http://["', '')?.base).toBe(url);
  });

  test.each(['"https://jsonfeed.org/version/1.1"', '"1.1"', '"1"', '"1.0"', '1', '1.1'])(
    'of JSON says its version in any way: %s',
    (version) => {
      const feed = parse(
        ` \ufeff{"version":${version},"title":"T","items":[{"id":7,"url":"/a","content_html":"<b>x</b>"}]}`,
        url,
      );
      expect(feed).toMatchObject({ format: 'json', title: { value: 'T', isHtml: false } });
      expect(feed.items[0]).toMatchObject({ guid: '7', link: '/a', summary: { isHtml: true } });
    },
  );

  test('that is damaged is read as far as it goes, and says so', () => {
    const feed = parse(
      '<rss version="2.0"><channel><title>T</title><item><title>one</title></item><item><title>tw',
      url,
    );
    expect(feed.items.map(({ title }) => title.value)).toEqual(['one', 'tw']);
    expect(feed.problems).toEqual(['The feed is not well-formed; what can be read of it was taken.']);
  });

  test('may have empty entries; they are counted', () => {
    const feed = parse(
      '<rss version="2.0"><channel><title>T</title><item/><item><title>x</title></item></channel></rss>',
      url,
    );
    expect(feed.items).toHaveLength(1);
    expect(feed.problems).toEqual(['Entries that hold nothing: 1.']);
  });

  test.each([
    ['', 'BAD_SOURCE'],
    ['<html><body><rss></body></html>', 'BAD_SOURCE'],
    ['{"items": 7}', 'BAD_SOURCE'],
    ['{"version":"https://jsonfeed.org/version/1.1","title":', 'BAD_SOURCE'],
    ['[1,2]', 'BAD_SOURCE'],
    ['just text', 'BAD_SOURCE'],
  ])('is none: %s', (text, code) => {
    expect(codeOf(text)).toBe(code);
  });

  const channel = '<rss version="2.0"><channel><title>T</title>';
  test.each([
    ['1,001 items', `${channel}${'<item><title>a</title></item>'.repeat(1_001)}</channel></rss>`, 'LIMIT_EXCEEDED'],
    ['1,000 items', `${channel}${'<item><title>a</title></item>'.repeat(1_000)}</channel></rss>`, 'rss'],
    [
      '1,001 JSON items',
      `{"version":"1.1","title":"T","items":[${'{"id":"1"},'.repeat(1_000)}{"id":"2"}]}`,
      'LIMIT_EXCEEDED',
    ],
    ['deep nesting', `${channel}${'<a>'.repeat(1_600_000)}`, 'BAD_SOURCE'],
    ['deep titles', `${channel}<item>${'<title>'.repeat(600_000)}`, 'BAD_SOURCE'],
    ['bare brackets', `${channel}<item><title>${'<'.repeat(4_000_000)}`, 'BAD_SOURCE'],
    ['many tags', `${channel}${'<b/>'.repeat(1_000_000)}`, 'LIMIT_EXCEEDED'],
    ['many attributes', `<rss version="2.0" ${'a="b" '.repeat(800_000)}>`, 'LIMIT_EXCEEDED'],
    ['open comments', channel + '<!--'.repeat(1_000_000), 'rss'],
    ['deep JSON', `{"version":"1.1","title":"x","items":[${'['.repeat(4_000_000)}`, 'BAD_SOURCE'],
  ])('of a shape that no feed has keeps nobody waiting: %s', (_name, text, code) => {
    const startedAt = performance.now();
    expect(codeOf(text)).toBe(code);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });
});
