import { describe, expect, test } from 'vitest';
import { nextAfterFailure, nextAt, noWishes, type Wishes } from './pace.ts';

/** A Saturday. */
const now = Date.parse('2026-11-21T12:00:00Z');
const next = (wishes: Partial<Wishes> = {}, headers = {}) => nextAt(now, { ...noWishes, ...wishes }, headers);
const every = Array.from({ length: 24 }, (_, hour) => hour);

describe('a feed is asked again', () => {
  test.each<[string, Partial<Wishes>, Record<string, string>, string]>([
    ['after half an hour', {}, {}, '2026-11-21T12:30:00.000Z'],
    [
      'after half an hour, however eager it is',
      { ttl: 1 },
      { 'cache-control': 'max-age=1' },
      '2026-11-21T12:30:00.000Z',
    ],
    ['after its ttl', { ttl: 90 }, {}, '2026-11-21T13:30:00.000Z'],
    ['after a day, however lazy it is', { ttl: 1e9 }, {}, '2026-11-22T12:00:00.000Z'],
    ['by its syndication period', { periodMinutes: 120 }, {}, '2026-11-21T14:00:00.000Z'],
    ['when caches forget it', {}, { 'cache-control': 'public, max-age=7200' }, '2026-11-21T14:00:00.000Z'],
    ['when it expires', {}, { expires: 'Sat, 21 Nov 2026 15:00:00 GMT' }, '2026-11-21T15:00:00.000Z'],
    [
      'when the age says so rather than the date',
      {},
      { 'cache-control': 'max-age=3600', expires: 'Sat, 21 Nov 2026 15:00:00 GMT' },
      '2026-11-21T13:00:00.000Z',
    ],
    [
      'regardless of a date that is none',
      {},
      { expires: '0', 'cache-control': 'max-age=-5' },
      '2026-11-21T12:30:00.000Z',
    ],
    ['not in hours it skips', { skipHours: [12, 13, 15] }, {}, '2026-11-21T14:00:00.000Z'],
    ['not on days it skips', { skipDays: ['Saturday', 'sunday', 'Caturday'] }, {}, '2026-11-23T00:00:00.000Z'],
    ['not at midnight when it calls it 24', { skipHours: [24], ttl: 730 }, {}, '2026-11-22T01:00:00.000Z'],
    ['although it skips every hour', { skipHours: every }, {}, '2026-11-21T12:30:00.000Z'],
  ])('%s', (_name, wishes, headers, at) => {
    expect(next(wishes, headers)).toBe(at);
  });

  test.each([
    [1, 0, '2026-11-21T12:30:00.000Z'],
    [2, 0, '2026-11-21T13:00:00.000Z'],
    [4, 0, '2026-11-21T16:00:00.000Z'],
    [1_000, 0, '2026-11-22T12:00:00.000Z'],
    [1, 3_600_000, '2026-11-21T13:00:00.000Z'],
    [1, 1e15, '2026-11-22T12:00:00.000Z'],
  ])('later after %i failures in a row and a wish for %i ms', (failures, notBeforeMs, at) => {
    expect(nextAfterFailure(now, failures, notBeforeMs)).toBe(at);
  });
});
