import { expect, test } from 'vitest';
import { textPart, unescapeHtml } from './text-part.ts';

test('writes paragraphs, rows and links as lines', () => {
  const html =
    '<html><head><title>No</title></head><body style="x"><h1>Hi</h1>\n<p>Two\n  words</p><table>\n<tr>\n<td>a</td>\n<td style="y">1</td>\n</tr>\n<tr><td>b</td><td>2</td></tr></table><p><a href="https://a.example/?x=1&amp;y=2" style="z">Open</a></p></body></html>';
  expect(textPart(html)).toBe('Hi\n\nTwo words\n\na  1\nb  2\n\nOpen: https://a.example/?x=1&y=2\n');
});

test('gives escaped values back as they were written', () => {
  expect(textPart('<body><p>&lt;b&gt; &amp;lt; &quot;x&quot; &#39;y&#39; {{7*7}}</p></body>')).toBe(
    `<b> &lt; "x" 'y' {{7*7}}\n`,
  );
  expect(unescapeHtml('&amp;lt;')).toBe('&lt;');
});

test('takes linear time on whatever escaped text can hold', () => {
  const started = performance.now();
  for (const piece of ['&lt;', '&amp', '&', ' ', '> ', '\u00A0', '&quot;']) textPart(`<body>${piece.repeat(50_000)}`);
  expect(performance.now() - started).toBeLessThan(2_000);
});
