import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { objectStoreSuite } from './object-store.suite.ts';
import type { ObjectStore, SignedRequest } from './object-store.ts';
import { openS3Store } from './object-store-s3.ts';
import { openObjectStore } from './open-object-store.ts';

const endpoint = process.env['AWS_ENDPOINT_URL_S3'];
const text = { contentType: 'text/plain' };

const send = async (request: SignedRequest | undefined, body?: string, headers = request?.headers ?? {}) => {
  if (request === undefined) throw new Error('expected a signed request');
  // fetch sets the length of its body itself and refuses to be told.
  const { 'content-length': _length, ...rest } = headers;
  const answer = await fetch(request.url, { method: request.method, headers: rest, ...(body ? { body } : {}) });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
};

describe.skipIf(endpoint === undefined)('S3', () => {
  const bucket = `jobfleet-${randomBytes(6).toString('hex')}`;
  const admin = new S3Client({ forcePathStyle: true });
  const strangers = { forcePathStyle: true, credentials: { accessKeyId: 'test', secretAccessKey: 'wrong' } };
  let store: ObjectStore;

  beforeAll(async () => {
    await admin.send(new CreateBucketCommand({ Bucket: bucket }));
    store = await openObjectStore(`s3://${bucket}/own/prefix/`, { baseDir: '/' });
  });

  afterAll(async () => {
    await store.close();
    for (;;) {
      const page = await admin.send(new ListObjectsV2Command({ Bucket: bucket }));
      for (const { Key } of page.Contents ?? []) await admin.send(new DeleteObjectCommand({ Bucket: bucket, Key }));
      if (page.IsTruncated !== true) break;
    }
    await admin.send(new DeleteBucketCommand({ Bucket: bucket }));
    admin.destroy();
  });

  let suites = 0;
  objectStoreSuite(
    'S3',
    async () => openObjectStore(`s3://${bucket}/suite-${(suites += 1)}`, { baseDir: '/' }),
    async () => openS3Store({ bucket, prefix: '', client: strangers }),
  );

  test('keeps everything under its prefix', async () => {
    await store.put('t/-/x', Buffer.from('x'), text);
    const page = await admin.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: 'own/' }));
    expect(page.Contents?.map((entry) => entry.Key)).toEqual(['own/prefix/t/-/x']);
  });

  test('lists page after page', async () => {
    const keys = Array.from({ length: 1_030 }, (_, n) => `t/pages/${String(n).padStart(4, '0')}`);
    for (let at = 0; at < keys.length; at += 50) {
      await Promise.all(keys.slice(at, at + 50).map(async (key) => store.put(key, Buffer.from('x'), text)));
    }
    const listed: string[] = [];
    for await (const head of store.list('t/pages/')) listed.push(head.key);
    expect(listed).toEqual(keys);
  });

  test('signs a GET that works with plain fetch, ranges included, and only as signed', async () => {
    await store.put('t/-/link', Buffer.from('0123456789'), text);
    const link = await store.presign({ method: 'GET', key: 't/-/link', ttlMs: 60_000, filename: 'a "b"\r\nc.txt' });
    const answer = await send(link);
    expect(answer).toMatchObject({ status: 200, text: '0123456789' });
    expect(answer.headers.get('content-type')).toBe('text/plain');
    expect(answer.headers.get('content-disposition')).toBe('attachment; filename="a _b___c.txt"');
    expect(await send(link, undefined, { range: 'bytes=2-4' })).toMatchObject({ status: 206, text: '234' });
    const other = link && { ...link, url: link.url.replace('/t/-/link', '/t/-/x') };
    expect((await send(other)).status).toBe(403);
  });

  test('refuses a link after its time', async () => {
    await store.put('t/-/short', Buffer.from('x'), text);
    const link = await store.presign({ method: 'GET', key: 't/-/short', ttlMs: 1_000 });
    if (link === undefined) throw new Error('expected a link');
    await expect.poll(async () => (await send(link)).status, { timeout: 10_000, interval: 500 }).toBe(403);
  });

  test('signs a PUT for one type, one size and one time', async () => {
    const request = { method: 'PUT', key: 't/-/up', ttlMs: 60_000, contentType: 'image/png', sizeBytes: 5 } as const;
    const link = await store.presign(request);
    expect((await send(link, 'too long for it')).status).toBe(403);
    expect((await send(link, '12345', { 'content-type': 'text/html' })).status).toBe(403);
    expect(await store.head('t/-/up')).toBeUndefined();
    expect((await send(link, '12345')).status).toBe(200);
    expect((await send(link, 'other')).status).toBe(412);
    expect(await store.head('t/-/up')).toMatchObject({ sizeBytes: 5, contentType: 'image/png' });
  });

  test('leaves no parts behind when a stream breaks or is aborted', async () => {
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      for (let n = 0; n < 20; n += 1) yield Buffer.alloc(1_048_576);
      throw new Error('broken');
    };
    await expect(store.put('t/-/parts', Readable.from(broken()), text)).rejects.toThrow('broken');
    const abort = new AbortController();
    const reason = new Error('cancelled');
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      for (let n = 0; ; n += 1) {
        if (n === 20) abort.abort(reason);
        yield Buffer.alloc(1_048_576);
      }
    };
    const put = store.put('t/-/parts', Readable.from(endless()), { ...text, signal: abort.signal });
    await expect(put).rejects.toBe(reason);
    const left = await admin.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
    expect(left.Uploads ?? []).toEqual([]);
  });

  test('says in one sentence that bucket or credentials are wrong', async () => {
    const wrong = openS3Store({ bucket, prefix: '', client: strangers });
    await expect(wrong.put('t/-/x', Buffer.from('x'), text)).rejects.toMatchObject({
      $metadata: { httpStatusCode: 403 },
    });
    await expect(wrong.get('t/-/x')).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
    await wrong.close();
    const absent = await openObjectStore('s3://no-such-bucket-of-ours', { baseDir: '/' });
    await expect(absent.ping()).rejects.toThrow(/The bucket no-such-bucket-of-ours cannot be reached/);
    await absent.close();
    const nobody = openS3Store({
      bucket,
      prefix: '',
      client: { forcePathStyle: true, endpoint: 'http://127.0.0.1:9' },
    });
    await expect(nobody.ping()).rejects.toThrow(/cannot be reached/);
    await nobody.close();
  });
});
