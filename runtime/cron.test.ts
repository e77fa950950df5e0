import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextTick, ticksBetween } from './cron.ts';

const at = (text: string): number => Date.parse(text);
const shown = (ms: number | undefined): string => (ms === undefined ? 'never' : new Date(ms).toISOString());

function following(cron: string, timeZone: string, from: string, count: number): string[] {
  const ticks: string[] = [];
  for (let last = at(from); ticks.length < count; ) {
    const tick = nextTick({ cron, timeZone }, last);
    ticks.push(shown(tick));
    if (tick === undefined) break;
    last = tick;
  }
  return ticks;
}

describe('a rule with fixed hours', () => {
  it('ticks an hour later on the day its time is skipped', () => {
    expect(following('30 2 * * *', 'Europe/Berlin', '2026-03-27T12:00:00Z', 3)).toEqual([
      '2026-03-28T01:30:00.000Z',
      '2026-03-29T01:30:00.000Z',
      '2026-03-30T00:30:00.000Z',
    ]);
  });

  it('ticks on a day that begins at one, and where the clock moves half an hour', () => {
    expect(following('15 0 * * *', 'America/Havana', '2026-03-07T12:00:00Z', 2)).toEqual([
      '2026-03-08T05:15:00.000Z',
      '2026-03-09T04:15:00.000Z',
    ]);
    expect(following('10 2 * * *', 'Australia/Lord_Howe', '2026-10-03T00:00:00Z', 2)).toEqual([
      '2026-10-03T15:40:00.000Z',
      '2026-10-04T15:10:00.000Z',
    ]);
  });

  it('ticks once on the day its time comes twice, also when asked in between', () => {
    expect(following('*/20 2 * * *', 'Europe/Berlin', '2026-10-24T23:50:00Z', 4)).toEqual([
      '2026-10-25T00:00:00.000Z',
      '2026-10-25T00:20:00.000Z',
      '2026-10-25T00:40:00.000Z',
      '2026-10-26T01:00:00.000Z',
    ]);
    expect(following('*/20 2 * * *', 'Europe/Berlin', '2026-10-25T01:05:00Z', 1)).toEqual(['2026-10-26T01:00:00.000Z']);
  });
});

it('keeps an hourly rule hourly through both changes', () => {
  const hours = (from: string): string[] => following('0 * * * *', 'America/New_York', from, 4);
  expect(hours('2026-11-01T04:30:00Z').map((tick) => tick.slice(11, 13))).toEqual(['05', '06', '07', '08']);
  expect(hours('2026-03-08T05:30:00Z').map((tick) => tick.slice(11, 13))).toEqual(['06', '07', '08', '09']);
});

it('knows leap days, and rules that never tick', () => {
  expect(following('0 0 29 2 *', 'UTC', '2026-01-01T00:00:00Z', 2)).toEqual([
    '2028-02-29T00:00:00.000Z',
    '2032-02-29T00:00:00.000Z',
  ]);
  expect(nextTick({ cron: '0 0 31 4,6 *', timeZone: 'UTC' }, 0)).toBeUndefined();
});

it('answers the newest ticks of a long time quickly', () => {
  const rule = { cron: '* * * * * *', timeZone: 'Europe/Berlin' };
  const until = at('2026-06-01T00:00:00Z');
  const ticks = ticksBetween(rule, at('2026-05-01T00:00:00Z'), until, 100);
  expect(ticks).toEqual(Array.from({ length: 100 }, (_, index) => until - (99 - index) * 1_000));
  expect(ticksBetween(rule, until - 2_000, until, 100)).toEqual([until - 1_000, until]);
  expect(ticksBetween(rule, until, until, 100)).toEqual([]);
});

const formats = new Map<string, Intl.DateTimeFormat>();
const walls = new Map<string, number>();

/** What a clock on the wall shows, written as if it were UTC. */
function wallOf(timeZone: string, ms: number): number {
  const key = `${timeZone} ${ms}`;
  const known = walls.get(key);
  if (known !== undefined) return known;
  const format =
    formats.get(timeZone) ?? new Intl.DateTimeFormat('sv', { timeZone, dateStyle: 'short', timeStyle: 'short' });
  formats.set(timeZone, format);
  const wall = at(`${format.format(ms).replace(' ', 'T')}:00Z`);
  walls.set(key, wall);
  return wall;
}

interface SlowRule {
  readonly hour: readonly number[] | '*';
  readonly minute: readonly number[];
  readonly timeZone: string;
}

/** Minute by minute over the real clock, in the words of the module's header. */
function slowTicks(rule: SlowRule, from: number, to: number): number[] {
  const matches = (wall: number): boolean =>
    rule.minute.includes(new Date(wall).getUTCMinutes()) &&
    (rule.hour === '*' || rule.hour.includes(new Date(wall).getUTCHours()));
  const ticks = new Set<number>();
  const seen = new Set<number>();
  // From three hours before, so that the first comings of repeated times are known.
  const start = from - 3 * 3_600_000;
  let before = wallOf(rule.timeZone, start);
  for (let ms = start; ms <= to; ms += 60_000) {
    const wall = wallOf(rule.timeZone, ms);
    if (rule.hour === '*') {
      if (matches(wall)) ticks.add(ms);
    } else {
      // Skipped wall-clock times come as if the clock had not moved.
      for (let gone = before + 60_000, late = ms; gone < wall; gone += 60_000, late += 60_000)
        if (matches(gone)) ticks.add(late);
      if (matches(wall) && !seen.has(wall)) ticks.add(ms);
    }
    seen.add(wall);
    before = wall;
  }
  return [...ticks].filter((ms) => ms > from && ms <= to).toSorted((a, b) => a - b);
}

describe('any rule, around any change of the clock', () => {
  const days = [
    ['Europe/Berlin', '2026-03-29'],
    ['Europe/Berlin', '2026-10-25'],
    ['America/New_York', '2026-03-08'],
    ['America/New_York', '2026-11-01'],
    ['America/Havana', '2026-03-08'],
    ['America/Havana', '2026-11-01'],
    ['Australia/Lord_Howe', '2026-04-04'],
    ['Australia/Lord_Howe', '2026-10-03'],
    ['America/Santiago', '2026-04-05'],
    ['America/Santiago', '2026-09-06'],
    ['Asia/Kolkata', '2028-02-29'],
    ['UTC', '2028-02-29'],
  ] as const;

  it('ticks as a minute-by-minute search says: nothing skipped, nothing doubled', () => {
    const numbers = (max: number) => fc.uniqueArray(fc.integer({ min: 0, max }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(
        fc.constantFrom(...days),
        fc.oneof({ weight: 3, arbitrary: numbers(4) }, { weight: 1, arbitrary: fc.constant('*' as const) }),
        numbers(59),
        fc.integer({ min: 0, max: 20 * 3_600 }),
        ([timeZone, day], hour, minute, startS) => {
          const from = at(`${day}T00:00:00Z`) + (startS - 12 * 3_600) * 1_000;
          const to = from + 26 * 3_600_000;
          const cron = `${minute.join(',')} ${hour === '*' ? '*' : hour.join(',')} * * *`;
          const ticks: number[] = [];
          for (let tick = nextTick({ cron, timeZone }, from); tick !== undefined && tick <= to; ) {
            ticks.push(tick);
            tick = nextTick({ cron, timeZone }, tick);
          }
          const start = Math.floor(from / 60_000) * 60_000;
          const wanted = slowTicks({ hour, minute, timeZone }, start, to).filter((ms) => ms > from);
          expect(ticks.map(shown)).toEqual(wanted.map(shown));
        },
      ),
      { numRuns: 120 },
    );
  });

  it('answers the same from wherever it is asked, and later than asked', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...days),
        fc.constantFrom('30 2 * * *', '*/7 1-3 * * *', '0 0 * * *', '15 */2 * * *', '5 * * * *', '30 2 29 2 *'),
        fc.integer({ min: 0, max: 40 * 3_600_000 }),
        ([timeZone, day], cron, offset) => {
          const from = at(`${day}T00:00:00Z`) - 20 * 3_600_000 + offset;
          const next = nextTick({ cron, timeZone }, from) ?? Number.NaN;
          expect(next).toBeGreaterThan(from);
          expect(nextTick({ cron, timeZone }, Math.floor((from + next) / 2))).toBe(next);
          expect(nextTick({ cron, timeZone }, next - 1)).toBe(next);
        },
      ),
      { numRuns: 150 },
    );
  });
});
