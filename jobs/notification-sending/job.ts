import { z } from 'zod';
import { defineJob } from '../define.ts';
import { inApp, push, sms, webhook } from './payload.ts';

const dayMs = 86_400_000;

export default defineJob({
  name: 'notification-sending',
  aliases: ['notification_sending'],
  summary: 'Send one notification: push to a device, text message, signed webhook, or a note in the app.',
  payload: z.discriminatedUnion('channel', [push, sms, webhook, inApp]),
  result: z.strictObject({
    status: z
      .enum(['sent', 'gone', 'unknown'])
      .describe(
        'sent: taken by the provider. gone: the recipient is no more, and is not asked again. unknown: it was begun and nobody knows how it ended, so it is not repeated.',
      ),
    providerId: z.string().nullable(),
  }),
  policy: {
    timeoutMs: 30_000,
    concurrency: 20,
    order: 'fair',
    perKey: { rate: { points: 30, windowMs: 3_600_000 } },
  },
  // So many an hour reach one user by one channel; the others come in the next hour.
  limitKey: (payload) =>
    (payload.channel === 'push' || payload.channel === 'sms') && !payload.urgent
      ? `${payload.channel}/${payload.userId}`
      : undefined,
  documents: 'optional',
  parts: {
    names: ['push-app', 'push-browser', 'sms', 'webhook', 'in-app'],
    needDocuments: ['in-app'],
    of: (payload) => {
      if (payload.channel !== 'push') return payload.channel;
      return typeof payload.to === 'string' ? 'push-app' : 'push-browser';
    },
  },
  collections: {
    notifications: { indexes: [['userId', 'at']], ttlMs: 90 * dayMs },
    gone_recipients: { indexes: [['at']], ttlMs: 90 * dayMs },
  },
});
