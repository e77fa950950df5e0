import { expect, it } from 'vitest';
import { dayFirstOf, parseDate } from './dates.ts';

it.each([
  ['31/12/2017', '2017-12-31'],
  ['03/20/2023', '2023-03-20'],
  ['26.10.22', '2022-10-26'],
  ['11. Juli 2014', '2014-07-11'],
  ['February 17, 2026', '2026-02-17'],
  ['20180428', '2018-04-28'],
  ['24-MAR-2018', '2018-03-24'],
  ['14/JUN/2017', '2017-06-14'],
  ['10 MAR 2018', '2018-03-10'],
  ['2016/05/01', '2016-05-01'],
  ['2016-05-01', '2016-05-01'],
  ['19 april 2014', '2014-04-19'],
  ['3 września 2024', '2024-09-03'],
  ['29/02/2024', '2024-02-29'],
])('reads %s', (text, iso) => {
  expect(parseDate(text)).toMatchObject({ iso, isAmbiguous: false });
});

it.each([
  '31/02/2018',
  '29/02/2023',
  '32.01.2020',
  '10/02/2317',
  '1/2/3',
  '12:30',
  '1.2.3.4',
  '26/Fen/2017',
  '20181301',
  '',
])('takes "%s" for none', (text) => {
  expect(parseDate(text)).toBeUndefined();
});

it('needs the issuer to tell day and month apart', () => {
  expect(parseDate('03/04/2018')).toMatchObject({ iso: '2018-04-03', isAmbiguous: true });
  expect(parseDate('03/04/2018', true)).toMatchObject({ iso: '2018-04-03', isAmbiguous: false });
  expect(parseDate('03/04/2018', false)).toMatchObject({ iso: '2018-03-04', isAmbiguous: false });
  expect(parseDate('8-9-2022', true)).toMatchObject({ iso: '2022-09-08', isAmbiguous: false });
  expect(parseDate('05/05/2018')).toMatchObject({ iso: '2018-05-05', isAmbiguous: false });
});

it('learns it from another date of the page, from its currency, or from a place', () => {
  expect(dayFirstOf('due 04/25/2018, sent 03/04/2018', undefined)).toBe(false);
  expect(dayFirstOf('due 25/04/2018', 'USD')).toBe(true);
  expect(dayFirstOf('03/04/2018', 'EUR')).toBe(true);
  expect(dayFirstOf('53200 KUALA LUMPUR', undefined)).toBe(true);
  expect(dayFirstOf('Seattle, WA 98109', 'USD')).toBe(false);
  expect(dayFirstOf('03/04/2018', undefined)).toBeUndefined();
});
