/** Recipients that are no more: uninstalled apps, unsubscribed numbers, endpoints that answered 410. Nobody asks them again. */
import { createHash } from 'node:crypto';
import type { JobContext, Payload } from '../define.ts';
import { JobError } from '../errors.ts';
import type notificationSending from './job.ts';

type NotificationPayload = Payload<typeof notificationSending>;

const collection = 'gone_recipients';

/** Names a recipient without giving it away: tokens, endpoints and numbers are secrets or personal. */
function recipientId(channel: string, to: string): string {
  return `${channel}:${createHash('sha256').update(to).digest('base64url')}`;
}

/** What of the payload names the recipient; undefined where there is none beside the user. */
export function recipientOf(payload: NotificationPayload): string | undefined {
  if (payload.channel === 'in-app') return undefined;
  const { to } = payload;
  return recipientId(payload.channel, typeof to === 'string' ? to : to.endpoint);
}

export async function isGone(recipient: string, { documents }: Pick<JobContext, 'documents'>): Promise<boolean> {
  return (await whereKept(() => documents.get(collection, recipient))) !== undefined;
}

/** Where no documents are kept nothing is remembered, and the provider says it again the next time. */
export async function markGone(
  recipient: string,
  { channel, userId }: Pick<NotificationPayload, 'channel' | 'userId'>,
  { documents }: Pick<JobContext, 'documents'>,
): Promise<void> {
  const document = { _id: recipient, channel, userId, at: new Date().toISOString() };
  await whereKept(() => documents.put(collection, document));
}

async function whereKept<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof JobError && error.code === 'DOCUMENTS_MISSING') return undefined;
    throw error;
  }
}
