import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { openTestApi, type TestApi } from '../tests/support/api.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi({ env: { UPLOAD_MAX_BYTES: '3000000' } });
});
afterAll(() => api.close());

const slotShape = z.object({
  object: z.string(),
  upload: z.object({ method: z.literal('PUT'), url: z.url(), headers: z.record(z.string(), z.string()) }),
  expiresAt: z.iso.datetime(),
});

async function slot(contentType = 'video/mp4', sizeBytes = 1_000, filename = 'Ferien Film (1).mp4') {
  const answer = await api.call('POST', '/v1/uploads', { filename, contentType, sizeBytes });
  expect(answer.status).toBe(201);
  return slotShape.parse(answer.json);
}

const put = (url: string, body: Uint8Array | ReadableStream, headers: Record<string, string>) =>
  fetch(url, {
    method: 'PUT',
    body: body instanceof Uint8Array ? Buffer.from(body) : body,
    headers,
    ...(body instanceof Uint8Array ? {} : { duplex: 'half' as const }),
  });

const streamOf = (...chunks: Uint8Array[]): ReadableStream => ReadableStream.from(chunks);

describe('uploads', () => {
  test('a slot takes the announced bytes, needs no key, and the object is then there', async () => {
    const { object, upload } = await slot();
    expect(object).toMatch(/^object:t\/-\/uploads\/[0-9A-Z]{26}\/Ferien_Film_1_.mp4$/);
    const body = new Uint8Array(1_000).fill(7);
    expect((await put(upload.url, body, upload.headers)).status).toBe(201);
    const head = await api.objects.head(object.slice('object:'.length));
    expect(head).toMatchObject({ sizeBytes: 1_000, contentType: 'video/mp4' });
    expect((await put(upload.url, body, upload.headers)).status).toBe(409);
  });

  test('a stream of megabytes passes, far above the limit of JSON bodies', async () => {
    const { object, upload } = await slot('video/mp4', 3_000_000);
    const chunk = new Uint8Array(100_000);
    const answer = await put(upload.url, streamOf(...Array.from({ length: 30 }, () => chunk)), upload.headers);
    expect(answer.status).toBe(201);
    expect((await api.objects.head(object.slice(7)))?.sizeBytes).toBe(3_000_000);
  });

  test('other sizes and types than announced are refused, and nothing is kept', async () => {
    const { object, upload } = await slot('image/png', 1_000, 'a.png');
    const json = 'application/json';
    expect((await put(upload.url, new Uint8Array(1_001), upload.headers)).status).toBe(413);
    expect((await put(upload.url, streamOf(new Uint8Array(900), new Uint8Array(900)), upload.headers)).status).toBe(
      413,
    );
    expect((await put(upload.url, new Uint8Array(999), upload.headers)).status).toBe(400);
    expect((await put(upload.url, streamOf(new Uint8Array(500)), upload.headers)).status).toBe(400);
    expect((await put(upload.url, new Uint8Array(1_000), { 'content-type': json })).status).toBe(415);
    expect((await put(upload.url, new Uint8Array(1_000), {})).status).toBe(415);
    expect((await put(`${upload.url}x`, new Uint8Array(1_000), upload.headers)).status).toBe(404);
    expect(await api.objects.head(object.slice(7))).toBeUndefined();
    expect((await put(upload.url, new Uint8Array(1_000), upload.headers)).status).toBe(201);
  });

  test('an upload that breaks off keeps nothing, and its place can still be filled', async () => {
    const { object, upload } = await slot('image/png', 2_000_000, 'a.png');
    const abort = new AbortController();
    const half = new ReadableStream({
      start: (controller) => controller.enqueue(new Uint8Array(1_000_000)),
      pull: () => abort.abort(),
    });
    const broken = fetch(upload.url, {
      method: 'PUT',
      body: half,
      headers: upload.headers,
      duplex: 'half',
      signal: abort.signal,
    });
    await expect(broken).rejects.toThrow('aborted');
    expect((await put(upload.url, new Uint8Array(2_000_000), upload.headers)).status).toBe(201);
    expect((await api.objects.head(object.slice(7)))?.sizeBytes).toBe(2_000_000);
  });

  test.each([
    { filename: 'a', contentType: 'video/mp4', sizeBytes: 0 },
    { filename: 'a', contentType: 'video/mp4', sizeBytes: 3_000_001 },
    { filename: 'a', contentType: 'video/mp4', sizeBytes: 1.5 },
    { filename: '', contentType: 'video/mp4', sizeBytes: 1 },
    { filename: 'a'.repeat(256), contentType: 'video/mp4', sizeBytes: 1 },
    { filename: 'a', contentType: 'VIDEO/MP4\r\nx: y', sizeBytes: 1 },
    { filename: 'a', contentType: 'text/html; charset=utf-8', sizeBytes: 1 },
    { filename: 'a', contentType: 'video/mp4', sizeBytes: 1, key: 't/other/x' },
  ])('refuses to make a slot for %j', async (body) => {
    expect(await api.call('POST', '/v1/uploads', body)).toMatchObject({ status: 400, json: { code: 'INVALID' } });
  });

  test.each(['../../etc/passwd', '..', '.hidden', 'a/b\\c', 'ä'.repeat(120), '\u0001', 'con.png', '%2e%2e'])(
    'a file named %j stays inside its prefix',
    async (filename) => {
      const { object } = await slot('image/png', 1, filename);
      expect(object).toMatch(/^object:t\/-\/uploads\/[0-9A-Z]{26}\/[A-Za-z0-9._-]{1,100}$/);
      expect(object).not.toContain('/../');
    },
  );
});

describe('objects', () => {
  const link = async (key: string, text: string, contentType: string): Promise<string> => {
    await api.objects.put(key, Buffer.from(text), { contentType });
    const { id } = await api.client.enqueueNamed('image-processing', { source: 'object:t/-/x' });
    const { createSignedLinks } = await import('./signed-links.ts');
    expect(id).toBeTypeOf('string');
    return api.url + createSignedLinks(signingKey).read(key, 60_000);
  };
  const signingKey = 'k'.repeat(40);
  let signed: TestApi;
  let own: TestApi;
  beforeAll(async () => {
    own = api;
    signed = await openTestApi({ env: { SIGNING_KEY: signingKey } });
    api = signed;
  });
  afterAll(async () => {
    api = own;
    await signed.close();
  });

  test('serves ranges, heads and the whole, with headers that keep a browser from running it', async () => {
    const url = await link('t/-/r/a.mp4', '0123456789', 'video/mp4');
    const whole = await fetch(url);
    expect(await whole.text()).toBe('0123456789');
    expect(Object.fromEntries(whole.headers)).toMatchObject({
      'content-type': 'video/mp4',
      'content-length': '10',
      'accept-ranges': 'bytes',
      'x-content-type-options': 'nosniff',
      'content-disposition': 'inline',
      'access-control-allow-origin': '*',
      'content-security-policy': "default-src 'none'; sandbox",
    });
    const ranged = async (range: string) => {
      const answer = await fetch(url, { headers: { range } });
      return [answer.status, answer.headers.get('content-range'), answer.status === 416 ? '' : await answer.text()];
    };
    expect(await ranged('bytes=2-4')).toEqual([206, 'bytes 2-4/10', '234']);
    expect(await ranged('bytes=7-')).toEqual([206, 'bytes 7-9/10', '789']);
    expect(await ranged('bytes=-3')).toEqual([206, 'bytes 7-9/10', '789']);
    expect(await ranged('bytes=5-500')).toEqual([206, 'bytes 5-9/10', '56789']);
    expect(await ranged('bytes=10-')).toEqual([416, null, '']);
    expect(await ranged('bytes=4-2')).toEqual([200, null, '0123456789']);
    expect(await ranged('lines=1-2')).toEqual([200, null, '0123456789']);
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '10']);
  });

  test('what is no medium is a download', async () => {
    for (const [name, type] of [
      ['x.html', 'text/html'],
      ['x.svg', 'image/svg+xml'],
      ['x.pdf', 'application/pdf'],
    ] as const) {
      const answer = await fetch(await link(`t/-/r/${name}`, '<b>', type));
      expect(answer.headers.get('content-disposition')).toBe(`attachment; filename="${name}"`);
    }
  });

  test('relative addresses inside a playlist resolve', async () => {
    await api.objects.put('t/-/hls/720p/index.m3u8', Buffer.from('#EXTM3U\nseg_00001.m4s\n'), {
      contentType: 'application/vnd.apple.mpegurl',
    });
    await api.objects.put('t/-/hls/720p/seg_00001.m4s', Buffer.from('segment'), { contentType: 'video/mp4' });
    const master = await link('t/-/hls/master.m3u8', '#EXTM3U\n720p/index.m3u8\n', 'application/vnd.apple.mpegurl');
    const rendition = new URL((await (await fetch(master)).text()).split('\n')[1] ?? '', master);
    const segment = new URL((await (await fetch(rendition)).text()).split('\n')[1] ?? '', rendition);
    expect(await (await fetch(segment)).text()).toBe('segment');
  });

  test('tampered, expired, foreign and missing are the same 404', async () => {
    const url = await link('t/-/r/secret.txt', 'secret', 'text/plain');
    await api.objects.put('t/acme/r/secret.txt', Buffer.from('secret'), { contentType: 'text/plain' });
    const { createSignedLinks } = await import('./signed-links.ts');
    const expired =
      api.url + createSignedLinks(signingKey, () => Date.now() - 120_000).read('t/-/r/secret.txt', 60_000);
    const missing = api.url + createSignedLinks(signingKey).read('t/-/r/nothing.txt', 60_000);
    const [, token = ''] = /objects\/([^/]+)\//.exec(url) ?? [];
    const addresses = [
      url.replace(token, `${token.slice(0, 8)}A${token.slice(9)}`),
      url.replace(token, 'x'),
      url.replace('secret.txt', '..%2f..%2facme%2fr%2fsecret.txt'),
      url.replace('secret.txt', 'other.txt'),
      expired,
      missing,
    ];
    const answers = await Promise.all(
      addresses.map(async (address) => {
        const answer = await fetch(address);
        const problem = z.object({ code: z.string(), detail: z.string() }).parse(await answer.json());
        return [answer.status, problem.code, problem.detail];
      }),
    );
    expect(new Set(answers.map((answer) => JSON.stringify(answer)))).toEqual(
      new Set([JSON.stringify([404, 'NOT_FOUND', 'There is nothing here for you.'])]),
    );
    expect(await (await fetch(url)).text()).toBe('secret');
  });
});
