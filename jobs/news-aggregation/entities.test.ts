import { describe, expect, test } from 'vitest';
import { JobError } from '../errors.ts';
import { expandEntities } from './entities.ts';

const codeOf = (text: string): string => {
  try {
    return `read: ${expandEntities(text)}`;
  } catch (error) {
    return error instanceof JobError ? error.code : String(error);
  }
};

describe('entities of the document itself', () => {
  test.each([
    ['<!DOCTYPE r [<!ENTITY id "tag:example.com,">]><r>&id;2006</r>', '<r>tag:example.com,2006</r>'],
    [
      "<!-- c --><?x?>\n<!DOCTYPE r [<!ENTITY a 'A'><!-- <!ENTITY b SYSTEM 'x'> --> ] ><r>&a;&b;</r>",
      '<!-- c --><?x?>\n<r>A&b;</r>',
    ],
    ['<!DOCTYPE r [<!ENTITY a "&b;!"><!ENTITY b "&c;"><!ENTITY c "x]>">]><r>&a;</r>', '<r>x]>!</r>'],
    ['<!DOCTYPE r [<!ENTITY a "1"><!ENTITY a "2">]><r>&a;&amp;&#38;&nbsp;</r>', '<r>1&amp;&#38;&nbsp;</r>'],
    [
      '<!DOCTYPE r [<!ENTITY a "1">]><r><![CDATA[&a;]]><!--&a;-->&a;<![CDATA[&a;</r>',
      '<r><![CDATA[&a;]]><!--&a;-->1<![CDATA[&a;</r>',
    ],
    ['<!DOCTYPE rss><rss/>', '<rss/>'],
    ['<rss><!DOCTYPE r [<!ENTITY a "1">]>&a;</rss>', '<rss><!DOCTYPE r [<!ENTITY a "1">]>&a;</rss>'],
    [
      '<!DOCTYPE rss PUBLIC "-//Netscape Communications//DTD RSS 0.91//EN" "http://my.netscape.com/publish/formats/rss-0.91.dtd">\n<rss/>',
      '\n<rss/>',
    ],
  ])('are expanded, and only where they count: %s', (text, expanded) => {
    expect(expandEntities(text)).toBe(expanded);
  });

  test.each([
    ['<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]><r>&a;</r>'],
    ['<!DOCTYPE r [<!ENTITY a PUBLIC "x" "http://169.254.169.254/">]><r/>'],
    ['<!DOCTYPE r [<!ENTITY % a "b">]><r/>'],
    ['<!DOCTYPE r [%remote;]><r/>'],
    ['<!DOCTYPE r SYSTEM "http://evil.example/x.dtd"><r/>'],
    ['<!DOCTYPE r SYSTEM "http://evil.example/x.dtd" [<!ENTITY a "1">]><r/>'],
    ['<!doctype r [<!entity a system "x">]><r/>'],
    ['<!DOCTYPE r [<!ENTITY a "1"'],
    ['<!DOCTYPE r ['.repeat(50_000)],
  ])('anything external, and what does not end, is refused: %.60s', (text) => {
    expect(codeOf(text)).toBe('BAD_SOURCE');
  });

  const laughs = (levels: number, times: number): string => {
    const declared = Array.from({ length: levels }, (_, n) => `<!ENTITY l${n + 1} "${`&l${n};`.repeat(times)}">`);
    return `<!DOCTYPE r [<!ENTITY l0 "lol">${declared.join('')}]><r>&l${levels};</r>`;
  };
  test.each([
    ['ten to the ninth', laughs(9, 10)],
    ['wide and flat', laughs(2, 5_000)],
    ['a circle', '<!DOCTYPE r [<!ENTITY a "&b;"><!ENTITY b "&a;">]><r>&a;</r>'],
    [
      'one large entity, many times',
      `<!DOCTYPE r [<!ENTITY a "${'x'.repeat(10_000)}">]><r>${'&a;'.repeat(100_000)}</r>`,
    ],
    [
      'too many declarations',
      `<!DOCTYPE r [${Array.from({ length: 1_001 }, (_, n) => `<!ENTITY a${n} "">`).join('')}]><r/>`,
    ],
  ])('a bomb does no harm: %s', (_name, text) => {
    const startedAt = performance.now();
    expect(codeOf(text)).toBe('LIMIT_EXCEEDED');
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  test('three levels and 64 KiB are allowed', () => {
    expect(codeOf(laughs(2, 10))).toMatch(/^read: <r>(?:lol){100}<\/r>$/);
    expect(codeOf(laughs(3, 2))).toBe('LIMIT_EXCEEDED');
    expect(codeOf(`<!DOCTYPE r [<!ENTITY a "${'x'.repeat(65_536)}">]><r>&a;</r>`)).toMatch(/^read: <r>x{65536}<\/r>$/);
  });
});
