/** Results that a person has to look at: opened by an attempt, seen and decided over HTTP, gone after 45 days. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { reviewSweep } from '../backends/review-sweep.ts';
import { countOpenReviews, listOpenReviews, openReview } from '../backends/reviews.ts';
import handler from '../jobs/document-ocr/handler.ts';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { doubtfulInvoice } from '../tests/support/make-pdf.ts';
import { runJob } from '../workers/testing.ts';
import { createIds } from './ids.ts';
import { createKeys } from './keys.ts';

let api: TestApi;
const nextId = createIds();

beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

/** One attempt of document-ocr on the stores of the API, as a worker of it would run it. */
async function doubtful(tenant = '-'): Promise<string> {
  const id = nextId('document-ocr');
  await using run = await runJob(
    handler,
    { file_id: `object:t/${tenant}/in.pdf`, document_type: 'invoice' },
    { id, tenant, objects: api.objects, records: api.backend.records, inputs: { 'in.pdf': doubtfulInvoice() } },
  );
  expect(run.outcome).toEqual({ state: 'done' });
  expect(run.result).toMatchObject({ status: 'review_required' });
  return id;
}

const page = z.object({
  items: z.array(z.looseObject({ id: z.string(), openedAt: z.string() })),
  cursor: z.string().nullable(),
});
const listed = async (query = ''): Promise<z.output<typeof page>> =>
  page.parse((await api.call('GET', `/v1/reviews?limit=100${query}`)).json);
const decide = (id: string, body: object) => api.call('POST', `/v1/jobs/${id}/review`, body);

test('an attempt opens the review before its job completes, with the picture of the page', async () => {
  const id = await doubtful();
  expect((await listed()).items.map((one) => one.id)).toContain(id);
  const { status, json } = await api.call('GET', `/v1/reviews/${id}`);
  expect(status).toBe(200);
  expect(json).toMatchObject({
    id,
    queue: 'document-ocr',
    state: 'open',
    issues: ['line_items_sum_mismatch'],
    data: { invoice_number: 'A-77', total_amount: 30 },
    corrected: null,
    by: null,
    decidedAt: null,
    links: { job: `/v1/jobs/${id}`, self: `/v1/reviews/${id}` },
  });
  const [file] = z.array(z.object({ url: z.string(), contentType: z.string() })).parse(json['files']);
  expect(file?.contentType).toBe('image/jpeg');
  // Its link needs no key.
  const picture = await fetch(file?.url ?? '');
  const bytes = Buffer.from(await picture.arrayBuffer());
  expect([picture.status, bytes.subarray(0, 3).toString('hex')]).toEqual([200, 'ffd8ff']);
});

test('a job that runs again keeps its review', async () => {
  const id = nextId('document-ocr');
  const parts = { records: api.backend.records, objects: api.objects, now: () => api.backend.now() };
  const request = { data: { total_amount: 1 }, issues: ['first'], confidence: 0.5, pages: [] };
  await openReview(parts, { queue: 'document-ocr', id, tenant: '-' }, request);
  await openReview(parts, { queue: 'document-ocr', id, tenant: '-' }, { ...request, issues: ['second'] });
  expect((await listed()).items.filter((one) => one.id === id)).toMatchObject([{ issues: ['first'] }]);
});

test('an approval is said once: by whom, with which key, when', async () => {
  const id = await doubtful();
  const first = await decide(id, { decision: 'approve', by: 'ada' });
  expect(first.status).toBe(200);
  expect(first.json).toMatchObject({ state: 'approved', by: 'ada', keyId: 'static' });
  const second = await decide(id, { decision: 'approve', by: 'bob' });
  expect(second.status).toBe(409);
  expect(second.json).toMatchObject({ code: 'CONFLICT', detail: expect.stringContaining('approved at') });
  expect((await api.call('GET', `/v1/reviews/${id}`)).json).toMatchObject({ state: 'approved', by: 'ada' });
  expect((await listed()).items.map((one) => one.id)).not.toContain(id);
});

test('an edit corrects fields and keeps the others', async () => {
  const id = await doubtful();
  const edited = await decide(id, { decision: 'edit', data: { total_amount: 25, seller_address: null } });
  expect(edited.status).toBe(200);
  expect(edited.json).toMatchObject({ state: 'edited', by: 'static' });
  const shown = await api.call('GET', `/v1/reviews/${id}`);
  expect(shown.json).toMatchObject({
    data: { total_amount: 30 },
    corrected: { total_amount: 25, invoice_number: 'A-77', line_items: [{ amount: 20 }, { amount: 5 }] },
  });
});

test('of ten who decide at once one does', async () => {
  const id = await doubtful();
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, place) =>
      decide(
        id,
        place % 2 === 0
          ? { decision: 'approve', by: `p${place}` }
          : { decision: 'edit', by: `p${place}`, data: { total_amount: place } },
      ),
    ),
  );
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
    200,
    ...Array.from({ length: 9 }, () => 409),
  ]);
  const winner = answers.find(({ status }) => status === 200)?.json;
  expect((await api.call('GET', `/v1/reviews/${id}`)).json).toMatchObject({
    state: winner?.['state'],
    by: winner?.['by'],
  });
  const kept: string[] = [];
  for await (const { key } of api.objects.list(`t/-/reviews/${id}/edit-`)) kept.push(key);
  expect(kept).toHaveLength(winner?.['state'] === 'edited' ? 1 : 0);
});

test.each([
  [{ decision: 'approve', data: { total_amount: 1 } }, 'data'],
  [{ decision: 'edit' }, 'data'],
  [{ decision: 'edit', data: {} }, 'data'],
  [{ decision: 'edit', data: { total_amount: 'a lot' } }, 'data.total_amount'],
  [{ decision: 'edit', data: { no_such_field: 1 } }, 'data.no_such_field'],
  [{ decision: 'reject' }, 'decision'],
])('%o is refused and changes nothing', async (body, path) => {
  const id = await doubtful();
  const answer = await decide(id, body);
  expect(answer.status).toBe(400);
  expect(answer.json).toMatchObject({ errors: [{ path }] });
  expect((await api.call('GET', `/v1/reviews/${id}`)).json).toMatchObject({ state: 'open' });
});

test('a tenant sees and decides its own only', async () => {
  const keys = createKeys({ records: api.backend.records });
  const [mine, theirs] = await Promise.all(
    ['acme', 'other'].map(async (tenant) => (await keys.create({ tenant, scopes: ['jobs'] })).key),
  );
  const id = await doubtful('acme');
  const as = (key = ''): Record<string, string> => ({ authorization: `Bearer ${key}` });
  expect((await api.call('GET', `/v1/reviews/${id}`, undefined, as(mine))).status).toBe(200);
  expect((await api.call('GET', `/v1/reviews/${id}`, undefined, as(theirs))).status).toBe(404);
  expect((await api.call('POST', `/v1/jobs/${id}/review`, { decision: 'approve' }, as(theirs))).status).toBe(404);
  expect((await api.call('GET', '/v1/reviews?tenant=acme', undefined, as(theirs))).status).toBe(403);
  expect((await api.call('GET', '/v1/reviews', undefined, as(theirs))).json).toEqual({ items: [], cursor: null });
  expect(page.parse((await api.call('GET', '/v1/reviews', undefined, as(mine))).json).items).toHaveLength(1);
  expect((await api.call('POST', `/v1/jobs/${id}/review`, { decision: 'approve' }, as(mine))).status).toBe(200);
});

test.each(['document-ocr_01J00000000000000000000000', 'no-id', 'email-sending_01J00000000000000000000000'])(
  '%s is nothing to decide',
  async (id) => {
    expect((await api.call('GET', `/v1/reviews/${id}`)).status).toBe(404);
    expect((await decide(id, { decision: 'approve' })).status).toBe(404);
  },
);

test('the list is in pages, the oldest first', async () => {
  for (let made = 0; made < 3; made += 1) await doubtful('paged');
  const all = (await listed('&tenant=paged')).items;
  expect(all.map((one) => one.openedAt)).toEqual(all.map((one) => one.openedAt).toSorted());
  const seen: string[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const answer = page.parse((await api.call('GET', `/v1/reviews?tenant=paged&limit=1${query}`)).json);
    seen.push(...answer.items.map((one) => one.id));
    cursor = answer.cursor;
  }
  expect(seen).toEqual(all.map((one) => one.id));
  expect((await api.call('GET', '/v1/reviews?queue=no-such')).status).toBe(400);
});

test('after 45 days nothing is left, pictures included', async () => {
  const id = await doubtful('gone');
  const later = Date.now() + 50 * 86_400_000;
  const inFuture = { records: api.backend.records, now: async () => later };
  const objectsOf = async (): Promise<number> => {
    let count = 0;
    for await (const found of api.objects.list(`t/gone/reviews/${id}/`)) count += found.key === '' ? 0 : 1;
    return count;
  };
  expect(await objectsOf()).toBe(2);
  const { signal } = new AbortController();
  await reviewSweep({ backend: api.backend, objects: api.objects }).run(signal);
  expect(await objectsOf()).toBe(2);
  await reviewSweep({ backend: inFuture, objects: api.objects }).run(signal);
  expect(await objectsOf()).toBe(0);
  const now = { records: api.backend.records, now: () => Date.now() };
  expect((await listOpenReviews(now, { tenant: 'gone' }, { limit: 10 })).items).toEqual([]);
});

test('how many are open, and since when, is counted by queue', async () => {
  const before = Date.now();
  await doubtful('counted');
  const now = { records: api.backend.records, now: () => Date.now() };
  const counts = (await countOpenReviews(now)).get('document-ocr');
  expect(counts?.open).toBeGreaterThanOrEqual(1);
  expect(counts?.oldestAt).toBeLessThanOrEqual(before + 60_000);
});

test('a job shows its review, and null where there is none', async () => {
  const { id } = await api.client.enqueue(handler.job, { file_id: 'object:t/-/in.pdf' });
  expect((await api.call('GET', `/v1/jobs/${id}`)).json).toMatchObject({ status: 'waiting', review: null });
});
