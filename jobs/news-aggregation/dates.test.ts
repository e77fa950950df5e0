import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readDate } from './dates.ts';

describe('a date of a feed', () => {
  test.each([
    ['Thu, 09 Feb 2006 23:59:45 +0000', '2006-02-09T23:59:45Z'],
    ['9 Feb 06 23:59 PDT', '2006-02-10T06:59:00Z'],
    ['Thu(comment (in it) \\) still), 9(th) Feb 2006 23:59:45 +0530(IST)', '2006-02-09T18:29:45Z'],
    ['Thursday, 09-Feb-06 23:59:45 GMT', '2006-02-09T23:59:45Z'],
    ['Thu, 09 Feb 2006 23:59:45 GMT+2', '2006-02-09T21:59:45Z'],
    ['09 Feb 49 00:00:00 Z', '2049-02-09T00:00:00Z'],
    ['09 Feb 50 00:00:00 Z', '1950-02-09T00:00:00Z'],
    ['09 Feb 106 00:00:00 Z', '2006-02-09T00:00:00Z'],
    ['2006-02-09T23:59:45.123+01:00', '2006-02-09T22:59:45Z'],
    ['2006-02-09t23:59:45z', '2006-02-09T23:59:45Z'],
    ['2006-02-09 23:59:45 -0300', '2006-02-10T02:59:45Z'],
    ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00Z'],
    ['Thu, 29 Feb 2024 12:00:00 BST', '2024-02-29T11:00:00Z'],
    ['Sun, 06 Nov 1994 08:49:37 IST', '1994-11-06T03:19:37Z'],
  ])('%s', (written, instant) => {
    expect(readDate(written)).toEqual({ instant, quality: 'exact' });
  });

  test.each([
    ['Seg, 24 Set 2018 19:42:40 -0300', '2018-09-24T22:42:40Z'],
    ['lun., 03 août 2020 10:00:00 +0200', '2020-08-03T08:00:00Z'],
    ['Mi, 1 März 2023 10:00:00 CET', '2023-03-01T09:00:00Z'],
    ['mié, 04 ene 2023 10:00:00 Z', '2023-01-04T10:00:00Z'],
    ['gio, 15 giu 2023 10:00:00 CEST', '2023-06-15T08:00:00Z'],
    ['ma, 02 mei 2023 10:00:00 Z', '2023-05-02T10:00:00Z'],
    ['9 de febrero de 2006 10:00 Z', '2006-02-09T10:00:00Z'],
    ['Terça-feira', undefined],
  ])('in seven languages: %s', (written, instant) => {
    expect(readDate(written).instant).toBe(instant);
  });

  test.each([
    ['2003-12-31T10:14:55', '2003-12-31T10:14:55Z'],
    ['2003-12-31', '2003-12-31T00:00:00Z'],
    ['Thu, 09 Feb 2006 16:59:45 G', '2006-02-09T16:59:45Z'],
    ['Thu, 09 Feb 2006 16:59:45 XYZT', '2006-02-09T16:59:45Z'],
    ['Feb 9, 2006 16:59:45', '2006-02-09T16:59:45Z'],
    ['Thu Feb  9 23:59:45 2006', '2006-02-09T23:59:45Z'],
  ])('without a zone anybody knows is UTC and says so: %s', (written, instant) => {
    expect(readDate(written)).toEqual({ instant, quality: 'zone-assumed' });
  });

  test('with a weekday that contradicts it counts, and says so', () => {
    expect(readDate('Thu, 19 Jul 2006 23:08:26 +1000')).toEqual({
      instant: '2006-07-19T13:08:26Z',
      quality: 'weekday-wrong',
    });
  });

  test.each([
    'Sat, 31 Jun 2006 23:08:26 +1000',
    '29 Feb 2023 00:00:00 Z',
    '0000-01-01T00:00:00Z',
    '2006-13-01T00:00:00Z',
    '2006-02-09T24:00:01Z',
    '2006-02-09T23:60:00Z',
    '00 Feb 2006 00:00:00 Z',
    '9 Feb 2006 00:00:00 +1500',
    '9 Feb 2006 00:00:00 +0160',
  ])('that does not exist is none: %s', (written) => {
    expect(readDate(written)).toEqual({ instant: undefined, quality: 'impossible' });
  });

  test.each(['yesterday', '9 Fubruary 2006', '2006', '1139529585', '(((', '9/2/2006', 'T', 'x'.repeat(100_000)])(
    'that cannot be read is none: %.20s',
    (written) => {
      expect(readDate(written).instant).toBeUndefined();
    },
  );

  test.each([undefined, '', ' \n', '(only a comment)'])('that is absent is missing: %j', (written) => {
    expect(readDate(written)).toEqual({ instant: undefined, quality: 'missing' });
  });

  test('of any text is an instant or nothing, and every instant reads as itself', () => {
    const day = fc.constantFrom('Thu, 9', '9', '31', '00', 'Di 30', '7(th)');
    const month = fc.constantFrom('Feb', 'set', 'März', 'Foo', 'june');
    const year = fc.constantFrom('2006', '06', '0000', '99', '1806');
    const clock = fc.constantFrom('23:59:45', '7:5', '25:00', '', '12:00:60');
    const zone = fc.constantFrom('+0000', 'PDT', 'Q', '', '+2500', 'GMT-3', '(UTC)');
    const date = fc.tuple(day, month, year, clock, zone).map((parts) => parts.join(' '));
    let readable = 0;
    fc.assert(
      fc.property(fc.oneof(fc.string(), date), (written) => {
        const { instant } = readDate(written);
        if (instant === undefined) return;
        readable += 1;
        expect(readDate(instant)).toEqual({ instant, quality: 'exact' });
      }),
      { numRuns: 5_000, seed: 20_261_121 },
    );
    expect(readable).toBeGreaterThan(500);
  });
});
