/** `/v1/notifications`: the notes that `notification-sending` kept for the users of a tenant, and the recipients it asks no more. */
import { z } from 'zod';
import type { Documents, TenantDocuments } from '../runtime/documents.ts';
import { askDocuments, documentsOf, storeMissing } from './kept-documents.ts';
import { defineRoute, noBody, notFound, nothing, pageLimit, type Route } from './route.ts';

export interface NotificationRouteParts {
  /** Undefined where nothing keeps documents. */
  readonly documents?: Documents | undefined;
}

const userId = z.string().regex(/^[\w.:@-]{1,128}$/, 'expected 1 to 128 letters, digits and . : @ _ -');
const note = z.object({
  id: z.string(),
  userId: z.string(),
  title: z.string(),
  body: z.string(),
  link: z.string().nullable(),
  data: z.record(z.string(), z.string()),
  at: z.string(),
  readAt: z.string().nullable(),
});
const recipient = z.object({
  id: z.string().describe('Channel and a hash of the recipient, not the token or address itself.'),
  channel: z.string(),
  userId: z.string(),
  at: z.string(),
});
const paging = {
  limit: pageLimit(),
  cursor: z.string().min(1).max(4_000).optional().describe('From the page before.'),
};
const common = { tag: 'notifications', scope: 'jobs' } as const;

export function notificationRoutes({ documents }: NotificationRouteParts): Route[] {
  const of: OfTenant = (tenant) => documentsOf(documents, tenant);
  return [listRoute(of), readRoute(of), goneRoute(of), restoreRoute(of)];
}

type OfTenant = (tenant: string) => TenantDocuments;

function listRoute(of: OfTenant): Route {
  return defineRoute({
    ...common,
    method: 'GET',
    path: '/v1/notifications',
    operationId: 'listNotifications',
    summary: 'The notes of one user in the app, the newest first. They are kept for 90 days.',
    params: nothing,
    query: z.strictObject({
      userId,
      unread: z.enum(['true', 'false']).default('false').describe('`true`: only those that nobody has read.'),
      ...paging,
    }),
    body: noBody,
    answers: {
      200: { description: 'A page.', schema: z.object({ items: z.array(note), cursor: z.string().nullable() }) },
      ...storeMissing,
    },
    handle: async ({ query, credential }) => {
      const filter = { userId: query.userId, ...(query.unread === 'true' && { readAt: null }) };
      const sort = [{ field: 'at', descending: true }];
      const page = await askDocuments(() =>
        of(credential.tenant).page('notifications', { filter, sort, limit: Number(query.limit), after: query.cursor }),
      );
      const items = page.items.map(({ _id, ...rest }) => note.parse({ ...rest, id: _id }));
      return { status: 200, body: { items, cursor: page.next ?? null } };
    },
  });
}

function readRoute(of: OfTenant): Route {
  return defineRoute({
    ...common,
    method: 'POST',
    path: '/v1/notifications/read',
    operationId: 'readNotifications',
    summary: 'Mark notes of one user as read. Those that are read already keep their time.',
    params: nothing,
    query: nothing,
    body: z.strictObject({ userId, ids: z.array(z.string().min(1).max(128)).min(1).max(100) }),
    answers: {
      200: {
        description: 'Which of them are read now; those that are not there or belong to another user are left out.',
        schema: z.object({ read: z.array(z.string()) }),
      },
      ...storeMissing,
    },
    handle: async ({ body, credential }) => {
      const documents = of(credential.tenant);
      const read: string[] = [];
      for (const id of new Set(body.ids))
        if (await askDocuments(() => markRead(documents, id, body.userId))) read.push(id);
      return { status: 200, body: { read } };
    },
  });
}

/** Whether it is read now. Two callers at once: one of them reads the other's mark. */
async function markRead(documents: TenantDocuments, id: string, user: string): Promise<boolean> {
  for (;;) {
    const found = await documents.get('notifications', id);
    if (found === undefined || found['userId'] !== user) return false;
    if (found['readAt'] !== null) return true;
    const { _version: version, ...document } = found;
    const marked = { ...document, _id: id, readAt: new Date().toISOString() };
    if (await documents.put('notifications', marked, { version })) return true;
  }
}

function goneRoute(of: OfTenant): Route {
  return defineRoute({
    ...common,
    method: 'GET',
    path: '/v1/notifications/gone',
    operationId: 'listGoneRecipients',
    summary: 'Devices, numbers and endpoints that are not asked any more: their provider said that they are no more.',
    params: nothing,
    query: z.strictObject(paging),
    body: noBody,
    answers: {
      200: {
        description: 'A page, the newest first.',
        schema: z.object({ items: z.array(recipient), cursor: z.string().nullable() }),
      },
      ...storeMissing,
    },
    handle: async ({ query, credential }) => {
      const page = await askDocuments(() =>
        of(credential.tenant).page('gone_recipients', {
          sort: [{ field: 'at', descending: true }],
          limit: Number(query.limit),
          after: query.cursor,
        }),
      );
      const items = page.items.map(({ _id, ...rest }) => recipient.parse({ ...rest, id: _id }));
      return { status: 200, body: { items, cursor: page.next ?? null } };
    },
  });
}

function restoreRoute(of: OfTenant): Route {
  return defineRoute({
    ...common,
    method: 'DELETE',
    path: '/v1/notifications/gone/{id}',
    operationId: 'restoreRecipient',
    summary: 'Ask a recipient again, such as an endpoint that was disabled by a 410.',
    params: z.object({ id: z.string().regex(/^[a-z-]{1,20}:[\w-]{43}$/) }),
    query: nothing,
    body: noBody,
    answers: { 204: { description: 'The next notification is sent to it.' }, ...storeMissing },
    handle: async ({ params, credential }) => {
      const removed = await askDocuments(() => of(credential.tenant).remove('gone_recipients', [params.id]));
      if (removed === 0) throw notFound();
      return { status: 204 };
    },
  });
}
