import { afterAll, beforeAll, expect, test } from 'vitest';
import { openReview } from '../backends/reviews.ts';
import { createIds } from '../producers/ids.ts';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { printed } from '../tests/support/printed.ts';
import { approveReview, editReview, listReviews, showReview } from './reviews.ts';

let api: TestApi;
const nextId = createIds();
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

async function open(): Promise<string> {
  const id = nextId('document-ocr');
  const parts = { records: api.backend.records, objects: api.objects, now: () => api.backend.now() };
  await api.objects.put(`t/-/reviews/${id}/page-1.jpg`, Buffer.from('jpeg'), { contentType: 'image/jpeg' });
  const request = {
    data: { invoice_number: 'A-77', total_amount: 30 },
    issues: ['line_items_sum_mismatch'],
    confidence: 0.8,
    pages: [`object:t/-/reviews/${id}/page-1.jpg`],
  };
  await openReview(parts, { queue: 'document-ocr', id, tenant: '-' }, request);
  return id;
}

test('a person looks, decides, and the list is empty again', async () => {
  const [first, second] = [await open(), await open()];
  const list = await printed(api, listReviews);
  expect(list).toMatch(new RegExp(`^${first} +\\d+ s +0\\.80 +line_items_sum_mismatch$`, 'm'));
  const shown = await printed(api, (server) => showReview(first, server));
  expect(shown).toMatch(new RegExp(`^${first} is open for \\d+ s, confidence 0\\.80$`, 'm'));
  expect(shown).toContain('"total_amount": 30');
  expect(shown).toMatch(/^page 1: http\S+\/v1\/objects\/\S+page-1\.jpg$/m);
  expect(await printed(api, (server) => approveReview(first, { ...server, by: 'ada' }))).toMatch(
    new RegExp(`^${first} was approved by ada \\d+ s ago\\n$`),
  );
  const edit = (server: { url: string; key: string }) =>
    editReview(second, { ...server, by: 'bob', data: '{"total_amount":25}', json: true });
  expect(JSON.parse(await printed(api, edit))).toMatchObject({ id: second, state: 'edited', by: 'bob' });
  expect(await printed(api, (server) => showReview(second, server))).toContain('"total_amount": 25');
  expect(await printed(api, listReviews)).toBe('No open reviews.\n');
});

test('what was decided, and what is no JSON, is refused in a sentence', async () => {
  const id = await open();
  const server = { url: api.url, key: api.key };
  await expect(editReview(id, { ...server, data: 'total=25' })).rejects.toThrow(/^--data: expected a JSON object/);
  await printed(api, () => approveReview(id, { ...server, by: 'ada' }));
  await expect(approveReview(id, server)).rejects.toThrow(/^CONFLICT: This review was approved at .* by ada/);
});
