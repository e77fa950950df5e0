import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalUrl, webAddress } from './canonical-url.ts';

test.each([
  ['HTTP://Example.COM:80/News/../News/Story%7e1.html?b=2&a=1#top', 'http://example.com/News/Story~1.html?a=1&b=2'],
  ['https://user:pw@example.com./a/?UTM_Source=x&fbclid=1&ref=2', 'https://example.com/a?ref=2'],
  ['https://example.com.:8443/a//', 'https://example.com:8443/a'],
  ['https://www.example.com//A/%2fb?x=%e0&x=', 'https://www.example.com//A/%2Fb?x=&x=%E0'],
  ['https://example.com/?&&gclid', 'https://example.com/'],
])('%s is %s', (spelling, canonical) => {
  expect(canonicalUrl(spelling)).toBe(canonical);
});

test.each([
  'javascript:alert(1)',
  'data:text/html,x',
  'mailto:a@example.com',
  'tag:example.com,2005:1',
  'urn:isbn:1',
  '',
  ' ',
  'http://',
  'https://[',
  `https://example.com/${'x'.repeat(3_000)}`,
])('no web address: %.40s', (link) => {
  expect(webAddress(link, undefined)).toBeUndefined();
  expect(canonicalUrl(link)).toBeUndefined();
});

test('relative links need something to be relative to', () => {
  expect(canonicalUrl('/p?x=1', 'https://example.com/rss')).toBe('https://example.com/p?x=1');
  expect(canonicalUrl('/p?x=1')).toBeUndefined();
  expect(canonicalUrl('//other.example/p', 'https://example.com/rss')).toBe('https://other.example/p');
});

test('reads letters that are no ASCII however often it is asked', () => {
  const read = new Set<string | undefined>();
  for (let n = 0; n < 20_000; n += 1) read.add(canonicalUrl('https://bücher.example/é'));
  expect([...read]).toEqual(['https://xn--bcher-kva.example/%C3%A9']);
});

test('of a canonical address is itself', () => {
  const part = fc.oneof(
    fc.webPath(),
    fc.constantFrom('/%7E', '/a//', '/%2e%2E/', '/%2F', '/..;/', '/a b', '/%zz', '/\\'),
  );
  const pair = fc.constantFrom('utm_x=1', 'a=1', 'b', 'b=', '&', 'UTM_a', '%61=%7e', 'a=%2B+', '?', '=');
  let tried = 0;
  fc.assert(
    fc.property(
      fc.webAuthority({ withPort: true, withUserInfo: true }),
      fc.array(part, { maxLength: 3 }),
      fc.array(pair, { maxLength: 4 }),
      (host, path, query) => {
        const once = canonicalUrl(`https://${host}${path.join('')}?${query.join('&')}`);
        if (once === undefined) return;
        tried += 1;
        expect(canonicalUrl(once)).toBe(once);
      },
    ),
    { numRuns: 3_000, seed: 20_261_121 },
  );
  expect(tried).toBeGreaterThan(2_000);
});
