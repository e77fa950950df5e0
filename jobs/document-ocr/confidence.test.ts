import { describe, expect, it } from 'vitest';
import { afterCheck, fieldConfidence, overallOf, shown, statusOf } from './confidence.ts';

const thresholds = { overall: 0.85, fields: {} };
const word = (confidence: number) => ({ confidence });

describe('how sure a field is', () => {
  it('is as sure as the worst word of a number, and as the words of a name on average', () => {
    expect(fieldConfidence([word(0.9), word(0.6)], 'exact', 'same_line')).toBe(0.6);
    expect(fieldConfidence([word(0.9), word(0.6)], 'words', 'same_line')).toBe(0.75);
    expect(fieldConfidence([], 'exact', 'same_line')).toBe(0);
  });

  it('is less sure the further the label is', () => {
    expect(fieldConfidence([word(1)], 'exact', 'above')).toBe(0.97);
    expect(fieldConfidence([word(1)], 'exact', 'alone')).toBe(0.8);
    expect(fieldConfidence([word(1)], 'exact', 'ambiguous')).toBe(0.7);
  });

  it('a passed check halves the distance to 1, a failed one caps at 0.80', () => {
    expect(afterCheck(0.9, true)).toBeCloseTo(0.95, 10);
    expect(afterCheck(0.9, false)).toBe(0.8);
    expect(afterCheck(0.5, false)).toBe(0.5);
  });

  it('overall is the mean of the required fields, a missing one counts nothing', () => {
    expect(overallOf('invoice', { invoice_number: 0.95, total_amount: 0.88, date: 0.1 })).toBeCloseTo(0.915, 10);
    expect(overallOf('invoice', { invoice_number: 0.95 })).toBe(0.475);
  });
});

describe('the status', () => {
  it.each([
    [0.92, { invoice_number: 0.95, total_amount: 0.88 }, [], 'completed'],
    [0.85, { invoice_number: 0.85, total_amount: 0.85 }, [], 'completed'],
    [0.8499, { invoice_number: 0.95, total_amount: 0.9 }, [], 'review_required'],
    [0.93, { invoice_number: 0.99, total_amount: 0.6 }, [], 'review_required'],
    [0.97, { invoice_number: 0.97, total_amount: 0.97 }, ['line_items_sum_mismatch'], 'review_required'],
    [0, {}, ['no_text'], 'failed'],
  ])('overall %s, fields %o, issues %o is %s', (overall, scores, issues, status) => {
    expect(statusOf({ type: 'invoice', overall, scores, issues, thresholds })).toBe(status);
  });

  it('an expected field below the threshold is looked at, one that nobody expects is not', () => {
    const sure = { invoice_number: 0.99, total_amount: 0.99 };
    const at = (more: object) =>
      statusOf({ type: 'invoice', overall: 0.99, scores: { ...sure, ...more }, issues: [], thresholds });
    expect(at({ date: 0.5 })).toBe('review_required');
    expect(at({ seller_address: 0.5 })).toBe('completed');
  });

  it('single fields may have a threshold of their own', () => {
    const facts = { type: 'receipt', overall: 0.9, scores: { total_amount: 0.9 }, issues: [] } as const;
    expect(statusOf({ ...facts, thresholds: { overall: 0.85, fields: { total_amount: 0.95 } } })).toBe(
      'review_required',
    );
    expect(statusOf({ ...facts, thresholds: { overall: 0.85, fields: { total_amount: 0.9 } } })).toBe('completed');
  });

  it('is decided before numbers are rounded for the eye', () => {
    expect(shown(0.849_99)).toBe(0.85);
    const scores = { total_amount: 0.849_99 };
    expect(statusOf({ type: 'receipt', overall: 0.849_99, scores, issues: [], thresholds })).toBe('review_required');
  });
});
