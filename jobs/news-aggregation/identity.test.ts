import { describe, expect, test } from 'vitest';
import { type Identifying, identify } from './identity.ts';

const item: Identifying = {
  guid: undefined,
  isPermalink: true,
  link: undefined,
  base: 'https://feed.example/rss',
  title: 'Title',
  date: undefined,
  summary: '',
};
const key = (more: Partial<Identifying>) => identify({ ...item, ...more }).key;

describe('the identity of an item', () => {
  test('is its guid, compared as a string', () => {
    expect(key({ guid: 'http://e.example/?a=1&b=2' })).toBe(
      key({ guid: ' http://e.example/?a=1&b=2\n', title: 'Other' }),
    );
    expect(key({ guid: 'http://e.example/?a=1%26b=2' })).not.toBe(key({ guid: 'http://e.example/?a=1&b=2' }));
    expect(key({ guid: 'A' })).not.toBe(key({ guid: 'a' }));
  });

  test('is the canonical link where the guid is absent or blank', () => {
    const plain = key({ link: 'https://e.example/a' });
    expect(key({ link: 'HTTPS://E.example/a/?utm_source=x', title: 'Other' })).toBe(plain);
    expect(key({ guid: ' \t', link: 'https://e.example/a' })).toBe(plain);
    expect(key({ guid: 'https://e.example/a' })).not.toBe(plain);
  });

  test('is title and date where there is no address either, and the text where there is nothing else', () => {
    expect(key({ date: 'Monday' })).not.toBe(key({ date: 'Tuesday' }));
    expect(key({ summary: 'one' })).toBe(key({ summary: 'two' }));
    expect(key({ title: '', summary: 'one' })).not.toBe(key({ title: '', summary: 'two' }));
    // What is in one field cannot be moved to the other.
    expect(key({ title: 'a', date: 'b' })).not.toBe(key({ title: 'ab', date: '' }));
  });

  test('says where to read it: the link, else a guid that is an address', () => {
    const url = (more: Partial<Identifying>) => identify({ ...item, ...more }).url;
    expect(url({ guid: 'http://guid.example/', link: 'http://link.example/' })).toBe('http://link.example/');
    expect(url({ guid: 'http://guid.example/' })).toBe('http://guid.example/');
    expect(url({ guid: 'http://guid.example/', isPermalink: false })).toBeUndefined();
    expect(url({ guid: 'tag:example.com,2005:1' })).toBeUndefined();
    expect(url({ guid: '/relative' })).toBeUndefined();
    expect(url({ link: 'javascript:alert(1)', guid: 'urn:x:1' })).toBeUndefined();
    expect(url({ link: '../a', base: 'https://base.example/x/y/' })).toBe('https://base.example/x/a');
  });
});
