import { describe, expect, it } from 'vitest';
import { currencyOf, exact, halfMinor, inexact, parseAmount, product, settle, sum } from './amounts.ts';

describe('amounts', () => {
  it.each([
    ['1,007.50', 1_007.5],
    ['1.005,55', 1_005.55],
    ['€ 593,36', 593.36],
    ['RM 22.90', 22.9],
    ['RM22.90', 22.9],
    ['$6.90', 6.9],
    ['Rs 1939', 1_939],
    ['1 234,56', 1_234.56],
    ["1'234.56", 1_234.56],
    ['₹1,23,456.78', 123_456.78],
    ['(123.45)', -123.45],
    ['123.45-', -123.45],
    ['-5.76', -5.76],
    ['963,12 €', 963.12],
    ['1,234', 1_234],
    ['12,345,678', 12_345_678],
    ['0.125', 0.125],
  ])('reads %s', (text, value) => {
    expect(parseAmount(text)?.value).toBe(value);
  });

  it.each(['', 'abc', '1.2.3', '12:30', '1,23.45.6', '--', '()', '1,2345,678.00', '9'.repeat(30)])(
    'takes "%s" for none',
    (text) => {
      expect(parseAmount(text)).toBeUndefined();
    },
  );

  it('settles 1.234 by the other amounts of the page, and says so where nothing does', () => {
    const doubtful = parseAmount('1.234');
    const [comma, point] = [parseAmount('5,50'), parseAmount('5.50')];
    if (doubtful === undefined || comma === undefined || point === undefined) throw new Error('expected amounts');
    expect(doubtful.isAmbiguous).toBe(true);
    expect(settle(doubtful, [comma])).toMatchObject({ value: 1_234, isAmbiguous: false });
    expect(settle(doubtful, [point])).toMatchObject({ value: 1.234, isAmbiguous: false });
    expect(settle(doubtful, [comma, point]).isAmbiguous).toBe(true);
  });

  it('counts exactly where floating point does not', () => {
    expect(inexact(sum([0.1, 0.2]))).toBe(0.3);
    expect(inexact(product(11.6667, 60.9244))).toBe(710.78669748);
    expect(exact(-1.5)).toBe(-150_000_000n);
    expect(inexact(-1n)).toBe(-0.00000001);
  });

  it('knows currencies without cents and with three places', () => {
    expect([halfMinor('EUR'), halfMinor('JPY'), halfMinor('KWD')].map(inexact)).toEqual([0.005, 0.5, 0.0005]);
  });

  it('takes the first currency that is named, a bare dollar sign last', () => {
    expect(currencyOf('Total EUR 5.00 (RM 24.00)')).toBe('EUR');
    expect(currencyOf('Total (RM): 9.60')).toBe('MYR');
    expect(currencyOf('$ 5.00 or £ 4.00')).toBe('GBP');
    expect(currencyOf('$5.00')).toBe('USD');
    expect(currencyOf('FORM 12')).toBeUndefined();
  });
});
