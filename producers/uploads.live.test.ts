/** Uploads and links on S3: the bytes go straight to the store, except playlists. */
import { randomBytes } from 'node:crypto';
import { CreateBucketCommand, DeleteBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { openObjectStore } from '../runtime/open-object-store.ts';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { createSignedLinks } from './signed-links.ts';

const endpoint = process.env['AWS_ENDPOINT_URL_S3'];

describe.skipIf(endpoint === undefined)('S3', () => {
  const bucket = `jobfleet-api-${randomBytes(6).toString('hex')}`;
  const signingKey = 'k'.repeat(40);
  const links = createSignedLinks(signingKey);
  const admin = new S3Client({ forcePathStyle: true });
  let api: TestApi;
  beforeAll(async () => {
    await admin.send(new CreateBucketCommand({ Bucket: bucket }));
    const objects = await openObjectStore(`s3://${bucket}/api`, { baseDir: '/' });
    api = await openTestApi({ objects, env: { SIGNING_KEY: signingKey } });
  });
  afterAll(async () => {
    for await (const { key } of api.objects.list('t/')) await api.objects.delete(key);
    await api.close();
    await admin.send(new DeleteBucketCommand({ Bucket: bucket }));
    admin.destroy();
  });

  test('an upload goes to the store by a presigned PUT that binds type and size, and works once', async () => {
    const answer = await api.call('POST', '/v1/uploads', { filename: 'a.png', contentType: 'image/png', sizeBytes: 5 });
    const { object, upload } = z
      .object({
        object: z.string(),
        upload: z.object({ method: z.literal('PUT'), url: z.string(), headers: z.record(z.string(), z.string()) }),
      })
      .parse(answer.json);
    expect(new URL(upload.url).origin).toBe(new URL(endpoint ?? '').origin);
    // fetch sets the length of its body itself and refuses to be told.
    const { 'content-length': _length, ...headers } = upload.headers;
    expect((await fetch(upload.url, { method: 'PUT', body: 'longer', headers })).ok).toBe(false);
    const { 'if-none-match': _condition, ...unconditional } = headers;
    expect((await fetch(upload.url, { method: 'PUT', body: '12345', headers: unconditional })).ok).toBe(false);
    expect((await fetch(upload.url, { method: 'PUT', body: '12345', headers })).ok).toBe(true);
    // A place is filled once: what a job has read does not change under its name.
    expect((await fetch(upload.url, { method: 'PUT', body: 'other', headers })).status).toBe(412);
    expect(await api.objects.head(object.slice('object:'.length))).toMatchObject({
      sizeBytes: 5,
      contentType: 'image/png',
    });
  });

  test('a link redirects to the store; a playlist is served here, so that its relative addresses resolve', async () => {
    const playlist = { contentType: 'application/vnd.apple.mpegurl' };
    await api.objects.put('t/-/hls/master.m3u8', Buffer.from('#EXTM3U\n720p/seg.m4s\n'), playlist);
    await api.objects.put('t/-/hls/720p/seg.m4s', Buffer.from('segment'), { contentType: 'video/mp4' });
    const master = api.url + links.read('t/-/hls/master.m3u8', 60_000);
    const served = await fetch(master, { redirect: 'manual' });
    expect(served.status).toBe(200);
    const segment = new URL((await served.text()).split('\n')[1] ?? '', master);
    expect((await fetch(segment, { redirect: 'manual' })).status).toBe(302);
    const ranged = await fetch(segment, { headers: { range: 'bytes=0-2' } });
    expect([ranged.status, await ranged.text()]).toEqual([206, 'seg']);
  });
});
