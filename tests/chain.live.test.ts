/** One upload becomes three jobs through `ctx.enqueue`; a worker that dies between two of them doubles none. */
import sharp from 'sharp';
import { expect, it, vi } from 'vitest';
import receiptIntake from '../examples/jobs/receipt-intake/job.ts';
import { mergeCollections } from '../runtime/documents.ts';
import { mongoPools, openDocuments } from '../runtime/open-documents.ts';
import { crowding } from './support/crowding.ts';
import { openStage } from './support/fleet.ts';
import type { Hold } from './support/holding.ts';

vi.setConfig({ testTimeout: 300_000 });
const types = ['receipt-intake', 'image-processing', 'document-ocr', 'notification-sending'];

/** Between the first and the second job, between the second and the third, and when all are there. */
it.each([1, 2, 3])('a receipt whose worker is killed after job %d of three is taken in once', async (write) => {
  await using stage = await openStage('embedded', 'examples');
  const { backend, client } = await stage.open();
  const picture = await sharp({ create: { width: 640, height: 400, channels: 3, background: '#fff' } })
    .jpeg()
    .toBuffer();
  const key = 't/acme/uploads/one/receipt.jpg';
  await stage.objects.put(key, picture, { contentType: 'image/jpeg' });
  const hold: Hold = { step: 'after intent', writers: { acme: { write, when: 'after' } } };
  const env = { LEASE_MS: '3000', QUEUES: 'receipt-intake' };
  const victim = await stage.start({ ...env, HOLD: JSON.stringify(hold) });
  const { id } = await client.enqueue(receiptIntake, { source: `object:${key}`, userId: 'user_1' }, { tenant: 'acme' });
  await vi.waitFor(() => expect(victim.output()).toContain('held acme\n'), 45_000 * crowding());
  victim.child.kill('SIGKILL');
  await victim.exited;

  await stage.start({ ...env, QUEUES: types.join() });
  const done = await stage.reaches(id, 'completed', 'failed');
  expect(done).toMatchObject({ status: 'completed', interruptions: 1 });
  const { pictures, text, note } = receiptIntake.result.parse(done.result);
  for (const one of [pictures, text, note])
    expect(await stage.reaches(one, 'completed', 'failed')).toMatchObject({ status: 'completed', tenant: 'acme' });
  for (const type of types) {
    const counts = await backend.queue(type).getJobCounts('completed', 'waiting', 'prioritized', 'delayed', 'failed');
    expect([type, counts]).toEqual([type, { completed: 1, waiting: 0, prioritized: 0, delayed: 0, failed: 0 }]);
  }
  const collections = mergeCollections([{ notifications: {} }]);
  const documents = await openDocuments(collections, {
    mongoUrl: undefined,
    sql: backend.sql,
    pool: mongoPools.worker,
  });
  const notes = await documents?.of('acme').page('notifications', {});
  expect(notes?.items).toMatchObject([{ _id: note, userId: 'user_1' }]);
  await documents?.close();
});
