/** An object store that is killed in the middle of the work of a fleet, and started again. */
import { PutObjectCommand } from '@aws-sdk/client-s3';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { listWorkers } from '../backends/worker-list.ts';
import imageProcessing from '../jobs/image-processing/job.ts';
import { openStage, type Stage } from './support/fleet.ts';
import { openS3Server, type S3Server, s3Program } from './support/s3-server.ts';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 });
const count = 12;
const concurrency = 2;

describe.skipIf(s3Program === undefined)('S3', () => {
  let stage: Stage;
  let s3: S3Server;
  beforeAll(async () => {
    stage = await openStage('embedded', 'real');
    s3 = await openS3Server(s3Program ?? '', stage.folder);
    const picture = await sharp({ create: { width: 32, height: 32, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    await s3.client.send(new PutObjectCommand({ Bucket: s3.bucket, Key: 't/-/in.png', Body: picture }));
  });
  afterAll(async () => {
    await s3.close();
    await stage.close();
  });

  it('that is killed under a fleet costs attempts only until it is known, no job, and is asked by one alone', async () => {
    const { backend, client } = await stage.open();
    const worker = await stage.start({
      QUEUES: imageProcessing.name,
      CONCURRENCY: String(concurrency),
      STORAGE_URL: `s3://${s3.bucket}`,
      ...s3.env,
    });
    const circuits = async () => (await listWorkers(backend.records)).flatMap((one) => one.circuits);
    const jobs = [];
    for (let n = 0; n < count; n += 1)
      jobs.push(
        await client.enqueue(imageProcessing, { source: 'object:t/-/in.png', widths: [16], formats: ['webp'] }),
      );
    await stage.reaches(jobs[0]?.id ?? '', 'completed');

    await s3.kill();
    await expect.poll(circuits, { timeout: 60_000, interval: 20 }).toEqual([{ name: 'objects', state: 2 }]);
    // The circuit finds out once that nobody answers: open > half-open > open.
    const changes = () => worker.output().match(/"circuit":"(?:open|half-open|closed)"/g) ?? [];
    await expect
      .poll(() => changes().filter((change) => change.includes('open')).length, { timeout: 60_000, interval: 20 })
      .toBeGreaterThanOrEqual(3);
    await s3.start();

    const ended = await Promise.all(jobs.map(({ id }) => stage.reaches(id, 'completed', 'failed')));
    expect(ended.map(({ status, error }) => [status, error])).toEqual(jobs.map(() => ['completed', null]));
    const spent = ended.reduce((sum, { attempt }) => sum + attempt - 1, 0);
    const probes = changes().filter((change) => change.includes('half-open')).length;
    // Two calls of four tries each open the circuit, those beside the second fail too, and then each probe but the last.
    expect(spent).toBeGreaterThanOrEqual(2);
    expect(spent).toBeLessThanOrEqual(2 + concurrency - 1 + probes - 1);
    await expect.poll(circuits, { timeout: 20_000 }).toEqual([]);
  });
});
