import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { quietMs } from './quiet.ts';

const at = (text: string): number => Date.parse(text);
const night = { from: '22:00', to: '07:00', timeZone: 'Asia/Kolkata' };

describe('quiet hours', () => {
  test.each([
    ['2026-11-21T16:29:59Z', 0],
    ['2026-11-21T16:30:00Z', 9 * 3_600_000],
    ['2026-11-21T18:30:00Z', 7 * 3_600_000],
    ['2026-11-22T01:29:30Z', 60_000],
    ['2026-11-22T01:30:00Z', 0],
  ])('from 22:00 to 07:00 in India, at %s, last %i ms more', (now, ms) => {
    expect(quietMs(night, at(now))).toBe(ms);
  });

  test.each([
    ['2026-11-21T12:59:00Z', 0],
    ['2026-11-21T13:00:00Z', 3_600_000],
    ['2026-11-21T14:00:00Z', 0],
  ])('may lie within a day: at %s %i ms', (now, ms) => {
    expect(quietMs({ from: '13:00', to: '14:00', timeZone: 'UTC' }, at(now))).toBe(ms);
  });

  test.each([
    // 29 March 2026, 02:00 becomes 03:00; 25 October, 03:00 becomes 02:00.
    ['2026-03-28T22:00:00Z', '2026-03-29T05:00:00Z'],
    ['2026-10-24T21:00:00Z', '2026-10-25T06:00:00Z'],
  ])('end at seven on the clock of the wall also when it changes: from %s at %s', (now, end) => {
    expect(at(now) + quietMs({ ...night, timeZone: 'Europe/Berlin' }, at(now))).toBe(at(end));
  });

  test('that end at a time which the change of the clock leaves out end right behind it, and not an hour early', () => {
    // In Berlin the 29th of March 2026 goes from 01:59 to 03:00, which is 01:00 UTC.
    const [midnight, change] = [at('2026-03-28T23:00:00Z'), at('2026-03-29T01:00:00Z')];
    for (const to of ['02:00', '02:30', '03:00'])
      expect(quietMs({ from: '00:00', to, timeZone: 'Europe/Berlin' }, midnight)).toBe(change - midnight);
    expect(quietMs({ from: '00:00', to: '03:01', timeZone: 'Europe/Berlin' }, midnight)).toBe(
      change + 60_000 - midnight,
    );
  });

  test('end when they end, for any zone and moment', () => {
    const clock = fc
      .tuple(fc.nat(23), fc.nat(59))
      .map(([h, m]) => `${String(h).padStart(2, '0')}:${String(m).padStart(2, '0')}`);
    const zone = fc.constantFrom(
      'UTC',
      'Asia/Kolkata',
      'Asia/Kathmandu',
      'America/St_Johns',
      'Pacific/Chatham',
      'Europe/Berlin',
    );
    const moment = fc.integer({ min: at('2026-01-01T00:00:00Z'), max: at('2027-01-01T00:00:00Z') });
    let quiet = 0;
    fc.assert(
      fc.property(clock, clock, zone, moment, (from, to, timeZone, now) => {
        if (from === to) return;
        const ms = quietMs({ from, to, timeZone }, now);
        expect(ms).toBeGreaterThanOrEqual(0);
        expect(ms).toBeLessThanOrEqual(26 * 3_600_000);
        if (ms === 0) return;
        quiet += 1;
        const local = new Intl.DateTimeFormat('en-GB', {
          hour: '2-digit',
          minute: '2-digit',
          hourCycle: 'h23',
          timeZone,
        });
        const ended = local.format(now + ms);
        if (ended === to) return;
        // A time of day that the change of the clock leaves out ends with the first minute behind it.
        expect([local.format(now + ms - 60_000), to, ended]).toEqual(
          [local.format(now + ms - 60_000), to, ended].toSorted(),
        );
      }),
      { numRuns: 2_000 },
    );
    expect(quiet).toBeGreaterThan(500);
  });
});
