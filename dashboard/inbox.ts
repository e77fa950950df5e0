/**
 * The development inbox: a mail server of our own on loopback, whose mails are read at /dev/inbox. Nothing ever leaves
 * the machine. Only `jobfleet up` starts it, and only when no SMTP_URL is given.
 */
import { join } from 'node:path';
import type { FastifyInstance, FastifyPluginAsync, FastifyReply } from 'fastify';
import { z } from 'zod';
import type { Log } from '../runtime/log.ts';
import { acceptForms, isSameOrigin } from './forms.ts';
import { attachmentBytes, attachmentName, listPage, mailHtml, mailPage } from './inbox-pages.ts';
import { openSink } from './inbox-sink.ts';
import { type InboxMail, openInboxStore } from './inbox-store.ts';
import { sendPage } from './page.ts';

export interface Inbox {
  /** What SMTP_URL becomes. */
  readonly smtpUrl: string;
  /** The pages and `/dev/inbox/api`. It has no login of its own: register it inside the guarded scope. */
  readonly plugin: FastifyPluginAsync;
  /** True: every mail is answered 451 until false. */
  refuse(on: boolean): void;
  /** The newest first, at most 500. */
  messages(): Promise<readonly InboxMail[]>;
  /** Stops listening; the mails stay. */
  close(): Promise<void>;
}

interface Parts {
  readonly store: Awaited<ReturnType<typeof openInboxStore>>;
  readonly sink: Awaited<ReturnType<typeof openSink>>;
}

/** Keeps the mails under `<dataDir>/inbox`. Rejects when the folder cannot be written or no port is free. */
export async function startInbox(options: { readonly dataDir: string; readonly log: Log }): Promise<Inbox> {
  const store = await openInboxStore(join(options.dataDir, 'inbox'));
  const sink = await openSink({
    deliver: (envelope, source) => store.add(envelope, source),
    onError: (error) => options.log.warn({ err: error }, 'the development inbox met an error'),
  });
  return {
    smtpUrl: sink.url,
    plugin: async (app) => routes(app, { store, sink }),
    refuse: (on) => sink.refuse(on),
    messages: () => store.list(),
    close: () => sink.close(),
  };
}

const base = '/dev/inbox';
/** What names nothing is looked up all the same, and not found. */
const oneMail = z.object({ id: z.string().max(64).catch('') });
const whichView = z.object({ view: z.enum(['html', 'text', 'headers']).optional().catch(undefined) });
const onOrOff = z.object({ on: z.union([z.boolean(), z.stringbool()]) });

function routes(app: FastifyInstance, parts: Parts): void {
  acceptForms(app);
  app.addHook('onRequest', async (request, reply) => {
    if (request.method === 'GET' || request.method === 'HEAD' || isSameOrigin(request)) return;
    await reply.code(403).send({ code: 'FORBIDDEN', detail: 'another site made this request; use the inbox itself' });
  });
  pageRoutes(app, parts);
  partRoutes(app, parts);
  apiRoutes(app, parts);
}

function pageRoutes(app: FastifyInstance, { store, sink }: Parts): void {
  app.get(base, async (_request, reply) => sendPage(reply, listPage(base, await store.list(), sink.isRefusing())));
  app.get(`${base}/:id`, async (request, reply) => {
    const found = await store.read(oneMail.parse(request.params).id);
    if (found === undefined) return missing(reply);
    const { view = found.parsed.html === undefined ? 'text' : 'html' } = whichView.parse(request.query);
    return sendPage(reply, mailPage(base, found.mail, found.parsed, view));
  });
  app.post(`${base}/refuse`, async (request, reply) => {
    const body = onOrOff.safeParse(request.body);
    if (!body.success) return reply.code(400).send({ code: 'INVALID', detail: 'on: expected true or false' });
    sink.refuse(body.data.on);
    return reply.redirect(base, 303);
  });
  app.post(`${base}/clear`, async (_request, reply) => {
    await store.clear();
    return reply.redirect(base, 303);
  });
}

function missing(reply: FastifyReply): FastifyReply {
  return reply.code(404).send({ code: 'NOT_FOUND', detail: `no such mail; see ${base}` });
}

/** Forbids the mail everything but its own styles and pictures inside it, whoever frames or opens it. */
const mailPolicy =
  "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'";

function partRoutes(app: FastifyInstance, { store }: Parts): void {
  app.get(`${base}/:id/html`, async (request, reply) => {
    const found = await store.read(oneMail.parse(request.params).id);
    if (found === undefined) return missing(reply);
    return plain(reply)
      .header('content-security-policy', mailPolicy)
      .header('referrer-policy', 'no-referrer')
      .type('text/html; charset=utf-8')
      .send(mailHtml(found.parsed));
  });
  app.get(`${base}/:id/source`, async (request, reply) => {
    const found = await store.read(oneMail.parse(request.params).id);
    if (found === undefined) return missing(reply);
    return download(reply, `${found.mail.id}.eml`).send(found.source);
  });
  app.get(`${base}/:id/attachments/:index`, async (request, reply) => {
    const { id, index } = oneMail.extend({ index: z.coerce.number().catch(-1) }).parse(request.params);
    const attachment = (await store.read(id))?.parsed.attachments[index];
    if (attachment === undefined) return missing(reply);
    return download(reply, attachmentName(attachment, index)).send(attachmentBytes(attachment));
  });
}

function plain(reply: FastifyReply): FastifyReply {
  return reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
}

/** Always saved, never shown: what a sender calls an image may be a page. */
function download(reply: FastifyReply, name: string): FastifyReply {
  return plain(reply)
    .header('content-security-policy', "default-src 'none'; sandbox")
    .header('content-disposition', `attachment; filename*=UTF-8''${encodeURIComponent(name)}`)
    .type('application/octet-stream');
}

function apiRoutes(app: FastifyInstance, { store, sink }: Parts): void {
  app.get(`${base}/api/messages`, async () => ({ messages: await store.list(), refusing: sink.isRefusing() }));
  app.get(`${base}/api/messages/:id`, async (request, reply) => {
    const found = await store.read(oneMail.parse(request.params).id);
    if (found === undefined) return missing(reply);
    const { html, text, headers, attachments } = found.parsed;
    return {
      ...found.mail,
      html,
      text,
      headers: headers.map(({ key, value }) => ({ name: key, value })),
      attachments: attachments.map((one, index) => ({
        name: attachmentName(one, index),
        contentType: one.mimeType,
        sizeBytes: attachmentBytes(one).length,
        url: `${base}/${found.mail.id}/attachments/${index}`,
      })),
    };
  });
  app.post(`${base}/api/refuse`, async (request, reply) => {
    const body = onOrOff.safeParse(request.body);
    if (!body.success) return reply.code(400).send({ code: 'INVALID', detail: 'on: expected true or false' });
    sink.refuse(body.data.on);
    return { refusing: sink.isRefusing() };
  });
  app.delete(`${base}/api/messages`, async (_request, reply) => {
    await store.clear();
    return reply.code(204).send();
  });
}
