import { describe, expect, test } from 'vitest';
import { cleanSummary, cleanTitle } from './clean.ts';

const base = 'https://feed.example/dir/rss';

describe('a title', () => {
  test.each([
    ['AT&amp;T <b>wins</b>', 'AT&T wins'],
    ['3bd 1930ft<sup>2</sup> &#x0024;4300', '3bd 1930ft2 $4300'],
    ['<script>alert(1)</script>Hello', 'Hello'],
    ['&lt;script&gt;alert(1)&lt;/script&gt;Hello', 'Hello'],
    ['&amp;lt;img src=x onerror=alert(1)&amp;gt;Hello', 'Hello'],
    ['&amp;amp;amp;lt;script&amp;amp;amp;gt;', '&lt;script&gt;'],
    ['<img src=x onerror=alert(1)>', ''],
    ['a\u0000b\u202Ec\n\n d', 'abc d'],
    ['half \ud83d', 'half \ufffd'],
    ['1 < 2', '1 < 2'],
  ])('of HTML becomes one line of text: %s', (html, text) => {
    expect(cleanTitle(html, true)).toBe(text);
  });

  test('of plain text stays as it is, within 500 characters', () => {
    expect(cleanTitle('How <b> works', false)).toBe('How <b> works');
    expect(cleanTitle('x'.repeat(10_000), false)).toHaveLength(500);
    expect(cleanTitle('😀'.repeat(1_000), false).isWellFormed()).toBe(true);
  });
});

describe('a summary', () => {
  test.each([
    ['<p onclick="x()">Hi <script>alert(1)</script><b>you</b></p>', '<p>Hi <b>you</b></p>'],
    [
      '<a href="../a?b=1&c=2">x</a>',
      '<a href="https://feed.example/a?b=1&amp;c=2" rel="nofollow noopener noreferrer">x</a>',
    ],
    ['<a href="javascript:alert(1)">x</a>', '<a>x</a>'],
    ['<a href="java\nscript:alert(1)">x</a>', '<a>x</a>'],
    ['<img src="https://tracker.example/1.gif"><iframe src="//x"></iframe>text', 'text'],
    ['<style>*{}</style><form><input></form><p style="position:fixed">x', '<p>x</p>'],
    ['<svg><script>alert(1)</script></svg><math><mtext>x', 'x'],
    ['<b><i>open', '<b><i>open</i></b>'],
    ['<p title="\u0000">a\u0000b</p>', '<p>ab</p>'],
  ])('keeps a little HTML and nothing that acts: %s', (html, clean) => {
    expect(cleanSummary(html, true, base)).toBe(clean);
  });

  test('of plain text is escaped', () => {
    expect(cleanSummary('a < b & <script>', false, base)).toBe('a &lt; b &amp; &lt;script&gt;');
  });

  test('is cut, and closed behind the cut', () => {
    const clean = cleanSummary(`<p>${'<b>x</b>'.repeat(100_000)}`, true, base);
    expect(clean.length).toBeLessThan(20_000);
    expect(clean.endsWith('</p>')).toBe(true);
  });
});
