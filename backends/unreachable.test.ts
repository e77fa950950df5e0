import { afterEach, describe, expect, it, vi } from 'vitest';
import { reportOnce, shownUrl } from './unreachable.ts';

describe('what is said of a store that is lost', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('is said once for each error, and once in 10 s for the same words', () => {
    vi.useFakeTimers();
    const said: string[] = [];
    const report = reportOnce((error) => said.push(error.message));
    const first = new Error('connect ECONNREFUSED');
    report(first);
    report(first);
    report(new Error('connect ECONNREFUSED'));
    report(new Error('read ECONNRESET'));
    expect(said).toEqual(['connect ECONNREFUSED', 'read ECONNRESET']);
    vi.advanceTimersByTime(10_000);
    report(new Error('connect ECONNREFUSED'));
    expect(said).toHaveLength(3);
  });

  it.each([
    ['redis://user:hush@host:1/2?x=hush', 'redis://host:1/2'],
    ['redis+sentinel://user:hush@a:1,b:2/main?sentinelPassword=hush', 'redis+sentinel://a:1,b:2/main'],
    ['nonsense', 'nonsense'],
  ])('shows an address without secrets: %s', (url, shown) => {
    expect(shownUrl(url)).toBe(shown);
  });
});
