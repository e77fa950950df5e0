/** No file of the shared data is left out: each is an input that a fleet is given, or a key that its outputs are held against. */
import { describe, expect, test } from 'vitest';
import { folderOf, sharedEntries, takerOf } from './support/shared-data.ts';

describe.skipIf(sharedEntries.length === 0)('the shared data', () => {
  test('is all taken or a key', () => {
    const seen = new Map<string, number>();
    for (const { file } of sharedEntries) {
      const what = `${folderOf(file)}: ${takerOf(file) ?? 'key'}`;
      seen.set(what, (seen.get(what) ?? 0) + 1);
    }
    expect(Object.fromEntries(seen)).toEqual({
      'cricket: match-aggregation': 13,
      'cricket: key': 1,
      'feeds: news-aggregation': 49,
      'images: image-processing': 48,
      'invoices: document-ocr': 19,
      'invoices: key': 8,
      'ocr: document-ocr': 18,
      'ocr: key': 2,
      'receipts: document-ocr': 14,
      'receipts: key': 28,
      'video: video-transcoding': 28,
    });
    expect(sharedEntries).toHaveLength(228);
  });
});
