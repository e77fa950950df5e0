import type { z } from 'zod';
import { defineHandler, type JobContext, type Payload } from '../define.ts';
import { tryAgainIn } from '../errors.ts';
import { type Delivery, gone } from './answers.ts';
import { type Fcm, openFcm } from './fcm.ts';
import { keepNote } from './in-app.ts';
import notificationSending from './job.ts';
import { type QuietHours, quietMs } from './quiet.ts';
import { isGone, markGone, recipientOf } from './recipients.ts';
import { secretsFor } from './secrets.ts';
import { type Channels, channelsOf, settings } from './settings.ts';
import { sendSms } from './sms.ts';
import { sendWebPush } from './web-push.ts';
import { sendWebhook } from './webhook.ts';

type NotificationPayload = Payload<typeof notificationSending>;

interface Own {
  readonly channels: Channels;
  readonly fcm: Fcm | string;
  readonly quietHours: QuietHours | undefined;
  readonly close?: () => void;
}

/** Channels whose part of the type has another name. */
const partNames: Readonly<Record<string, string>> = { fcm: 'push-app', webPush: 'push-browser' };
/** Another worker may have the variables, or this one after its next start. */
const missingMs = 60_000;

/** What a channel needs, or the job waits for a worker that has it. */
function needed<T extends object>(channel: T | string): T {
  if (typeof channel !== 'string') return channel;
  throw tryAgainIn(missingMs, 'CHANNEL_MISSING', channel);
}

function open(env: z.output<typeof settings>): Own {
  const channels = channelsOf(env);
  const { fcm } = channels;
  return {
    channels,
    fcm: typeof fcm === 'string' ? fcm : openFcm(fcm.account, fcm.origin),
    quietHours: env.QUIET_HOURS,
  };
}

function waitForMorning(payload: NotificationPayload, usual: QuietHours | undefined): void {
  if (payload.channel !== 'push' && payload.channel !== 'sms') return;
  const hours = payload.quietHours ?? usual;
  const waitMs = hours === undefined || payload.urgent ? 0 : quietMs(hours, Date.now());
  if (waitMs > 0) throw tryAgainIn(waitMs, 'QUIET_HOURS', 'nobody is disturbed in the quiet hours; sent at their end');
}

async function deliver(
  payload: NotificationPayload,
  ctx: JobContext,
  { channels, fcm }: Own,
): Promise<Delivery | undefined> {
  switch (payload.channel) {
    case 'in-app':
      return keepNote(payload, ctx);
    case 'webhook': {
      const secrets = secretsFor(needed(channels.webhook), new URL(payload.to));
      const { host } = new URL(payload.to);
      return sendWebhook(payload, ctx, {
        secrets: needed(
          secrets === undefined
            ? `webhooks to ${host} cannot be signed here: name it in WEBHOOK_SECRETS`
            : [...secrets],
        ),
      });
    }
    // A phone that shows a message twice cannot be told that it was the same one: begun and unknown is not repeated.
    case 'sms': {
      const account = needed(channels.sms);
      return ctx.once('send', () => sendSms(account, payload, ctx), 'skip');
    }
    case 'push': {
      const { to } = payload;
      if (typeof to === 'string') {
        const sender = needed(fcm);
        const access = await sender.access(ctx);
        return ctx.once('send', () => sender.send(payload, to, access, ctx), 'skip');
      }
      const keys = needed(channels.webPush);
      return ctx.once('send', () => sendWebPush(keys, payload, to, ctx), 'skip');
    }
  }
}

export default defineHandler(notificationSending, {
  env: settings,
  gaps: (env) =>
    Object.fromEntries(
      Object.entries(channelsOf(env)).flatMap(([name, channel]) =>
        typeof channel === 'string' ? [[partNames[name] ?? name, channel]] : [],
      ),
    ),
  open,
  async run(payload, ctx, own) {
    const { channel } = payload;
    waitForMorning(payload, own.quietHours);
    const recipient = recipientOf(payload);
    if (recipient !== undefined && (await isGone(recipient, ctx))) {
      ctx.log('the recipient is no more; nobody was asked', { channel });
      return gone;
    }
    const delivery = (await deliver(payload, ctx, own)) ?? { status: 'unknown', providerId: null };
    if (delivery.status === 'gone' && recipient !== undefined) await markGone(recipient, payload, ctx);
    ctx.log(`notification ${delivery.status}`, { channel, providerId: delivery.providerId });
    ctx.progress(100, delivery.status);
    return delivery;
  },
});
