/** The whole way of a doubtful document: client, queue, worker, killable child, object store, review. */
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listOpenReviews, readReview, readReviewData } from '../backends/reviews.ts';
import documentOcr from '../jobs/document-ocr/job.ts';
import { openStage, type Stage } from './support/fleet.ts';
import { doubtfulInvoice, makePdf, textPage } from './support/make-pdf.ts';
import { redisIfHere } from './support/redis-database.ts';

const stores = ['embedded', ...redisIfHere('reviews')];

describe.each(stores)('documents on %s', (store) => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage(store, 'real');
    const inputs = {
      'doubtful.pdf': doubtfulInvoice(),
      'sure.pdf': makePdf({ pages: [textPage(['A page of plain text.', 'It has a second line, too.'])] }),
    };
    for (const [name, bytes] of Object.entries(inputs))
      await stage.objects.put(`t/-/${name}`, Readable.from([bytes]), { contentType: 'application/pdf' });
    await stage.start({ QUEUES: 'document-ocr' });
  });
  afterAll(() => stage.close());

  it('are completed with a review that waits for a person, or with none', async () => {
    const { backend, client } = await stage.open();
    const doubtful = await client.enqueue(documentOcr, {
      file_id: 'object:t/-/doubtful.pdf',
      document_type: 'invoice',
    });
    const sure = await client.enqueue(documentOcr, { file_id: 'object:t/-/sure.pdf' });
    expect(await stage.reaches(doubtful.id, 'completed')).toMatchObject({ result: { status: 'review_required' } });
    expect(await stage.reaches(sure.id, 'completed')).toMatchObject({
      result: { status: 'completed', extracted_data: { text: 'A page of plain text.\nIt has a second line, too.' } },
    });
    const parts = { records: backend.records, now: () => backend.now() };
    const { items } = await listOpenReviews(parts, { queue: 'document-ocr' }, { limit: 10 });
    expect(items.map(({ id }) => id)).toEqual([doubtful.id]);
    const review = await readReview(backend.records, 'document-ocr', doubtful.id);
    expect(review).toMatchObject({ state: 'open', tenant: '-', issues: ['line_items_sum_mismatch'] });
    if (review === undefined) throw new Error('expected a review');
    expect((await readReviewData(stage.objects, review)).found).toMatchObject({ invoice_number: 'A-77' });
    expect(await stage.objects.head(review.pages[0]?.slice('object:'.length) ?? '')).toMatchObject({
      contentType: 'image/jpeg',
    });
  });
});
