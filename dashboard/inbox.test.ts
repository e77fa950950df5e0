import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Fastify, { type FastifyInstance } from 'fastify';
import { createTransport } from 'nodemailer';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLog } from '../runtime/log.ts';
import { type Inbox, startInbox } from './inbox.ts';
import { openSink } from './inbox-sink.ts';
import { openInboxStore } from './inbox-store.ts';

let folder: string;
let inbox: Inbox;
let app: FastifyInstance;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobfleet-inbox-'));
  inbox = await startInbox({ dataDir: folder, log: createLog({ name: 'test', level: 'silent' }) });
  app = Fastify();
  await app.register(inbox.plugin);
});
afterEach(async () => {
  await app.close();
  await inbox.close();
  await rm(folder, { recursive: true, force: true });
});

const send = (mail: object) =>
  createTransport(inbox.smtpUrl).sendMail({ from: 'shop@example.com', to: 'ada@example.com', text: 'hello', ...mail });
const body = async (url: string) => (await app.inject(url)).body;

test('keeps what was sent and shows list, parts, headers and source', async () => {
  await send({
    subject: 'Order <1>',
    html: '<p>Hi <img src="cid:logo"></p>',
    attachments: [
      { filename: '../e/vil\u202E.html', content: '<script>alert(1)</script>' },
      { filename: 'logo.png', content: Buffer.from([1, 2, 3]), cid: 'logo', contentType: 'image/png' },
    ],
  });
  const [mail] = await inbox.messages();
  expect(mail).toMatchObject({ from: 'shop@example.com', to: ['ada@example.com'], subject: 'Order <1>' });
  const url = `/dev/inbox/${mail?.id}`;
  expect(await body('/dev/inbox')).toContain('Order &lt;1&gt;');
  expect(await body(url)).toContain(`<iframe src="${url}/html" sandbox="allow-popups allow-popups-to-escape-sandbox"`);
  expect(await body(`${url}?view=text`)).toContain('<pre>hello');
  expect(await body(`${url}?view=headers`)).toContain('Subject: Order &lt;1&gt;');
  expect(await body(`${url}/html`)).toContain('src="data:image/png;base64,AQID"');
  expect(await body(`${url}/source`)).toContain('Delivered-To: ada@example.com');
  const attachment = await app.inject(`${url}/attachments/1`);
  expect(attachment.headers).toMatchObject({
    'content-type': 'application/octet-stream',
    'content-disposition': "attachment; filename*=UTF-8''_e_vil_.html",
    'content-security-policy': "default-src 'none'; sandbox",
  });
  const { attachments } = (await app.inject(`/dev/inbox/api/messages/${mail?.id}`)).json();
  expect(attachments).toMatchObject([{ name: 'logo.png' }, { name: '_e_vil_.html', sizeBytes: 25 }]);
});

test('shows hostile mail without running or loading anything', async () => {
  const hostile = '"><script>alert(1)</script>';
  await send({ subject: hostile, text: hostile, html: '<script>alert(1)</script><img src="https://evil.example/a">' });
  const [mail] = await inbox.messages();
  for (const url of ['/dev/inbox', `/dev/inbox/${mail?.id}?view=text`, `/dev/inbox/${mail?.id}?view=headers`]) {
    const page = await app.inject(url);
    expect(page.body).not.toContain('<script');
    expect(page.headers['content-security-policy']).toContain("default-src 'none'");
  }
  const inner = await app.inject(`/dev/inbox/${mail?.id}/html`);
  expect(inner.headers['content-security-policy']).toMatch(/^sandbox allow-popups .*default-src 'none'/);
});

test('refuses with 451 until mail is accepted again', async () => {
  const press = (on: string) =>
    app.inject({
      method: 'POST',
      url: '/dev/inbox/refuse',
      payload: `on=${on}`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
  expect((await press('true')).statusCode).toBe(303);
  await expect(send({})).rejects.toMatchObject({ responseCode: 451 });
  expect(await body('/dev/inbox')).toContain('Mail is refused');
  expect((await press('false')).statusCode).toBe(303);
  await send({});
  expect(await inbox.messages()).toHaveLength(1);
  const json = await app.inject({ method: 'POST', url: '/dev/inbox/api/refuse', payload: { on: true } });
  expect(json.json()).toEqual({ refusing: true });
});

test('keeps a repeated mail once, and mails to other receivers apart', async () => {
  await Promise.all([send({ messageId: '<1@example.com>' }), send({ messageId: '<1@example.com>' })]);
  await send({ messageId: '<1@example.com>', to: 'bob@example.com' });
  await send({ messageId: '<2@example.com>' });
  expect(await inbox.messages()).toHaveLength(3);
});

test('keeps the newest mails only, survives a restart, and forgets on request', async () => {
  const store = await openInboxStore(join(folder, 'small'), 3);
  for (const n of [1, 2, 3, 4, 5])
    await store.add({ from: '', to: ['a@b.co'] }, Buffer.from(`Subject: ${n}\r\nMessage-ID: <${n}@x>\r\n\r\nx`));
  expect(await readdir(join(folder, 'small'))).toHaveLength(3);
  const again = await openInboxStore(join(folder, 'small'), 3);
  expect(new Set((await again.list()).map((mail) => mail.subject))).toEqual(new Set(['3', '4', '5']));
  await again.clear();
  expect(await again.list()).toEqual([]);
});

test.each(['../../etc/passwd', '..%2f..%2fetc%2fpasswd', 'x'.repeat(40), '0'])('knows no mail %s', async (id) => {
  expect((await app.inject(`/dev/inbox/${id}`)).statusCode).toBeGreaterThanOrEqual(400);
  expect((await app.inject(`/dev/inbox/api/messages/${id}`)).statusCode).toBeGreaterThanOrEqual(400);
});

test('refuses presses that come from another site', async () => {
  for (const headers of [{ origin: 'https://evil.example' }, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }]) {
    const answer = await app.inject({ method: 'POST', url: '/dev/inbox/clear', headers });
    expect(answer.statusCode).toBe(403);
  }
});

test('refuses a mail over the size limit and takes the next one', async () => {
  const sizes: number[] = [];
  const sink = await openSink({
    deliver: async (_to, source) => sizes.push(source.length),
    onError: () => {},
    maxBytes: 5_000,
  });
  const mail = { from: 'a@b.co', to: 'ada@example.com' };
  const sent = createTransport(sink.url).sendMail({ ...mail, text: 'x'.repeat(100_000) });
  await expect(sent).rejects.toMatchObject({ responseCode: 552 });
  await createTransport(sink.url).sendMail({ ...mail, text: 'small' });
  expect(sizes).toHaveLength(1);
  await sink.close();
});
