/** What a notification may carry, by channel. Everything here is closed. Light: zod alone. */
import { z } from 'zod';

// Control characters, lone surrogates, line separators and the marks that reverse the reading direction: nothing that a
// lock screen, a header or a log shows otherwise than it was written. Line feeds only where lines are wanted.
const forbidden = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u202A-\u202E\u2066-\u2069]/u;
const forbiddenInLines = /[^\P{Cc}\n]|[\p{Zl}\p{Zp}\p{Cs}\u202A-\u202E\u2066-\u2069]/u;

const line = (max: number) =>
  z
    .string()
    .max(max)
    .refine((value) => !forbidden.test(value), 'expected one line of text without control characters')
    .trim()
    .min(1);
const lines = (max: number) =>
  z
    .string()
    .max(max)
    .refine((value) => !forbiddenInLines.test(value), 'expected text without control characters')
    .trim()
    .min(1);

/** `https://`, or `http://` to this machine: which hosts are reached in the end, the worker decides. */
const address = z
  .url({ protocol: /^https?$/, error: 'expected an https:// address' })
  .max(2_048)
  .refine(
    (value) => /^(?:https:\/\/|http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?:[:/]|$))/i.test(value),
    'expected an https:// address',
  )
  .refine((value) => !/[\s@]/.test(value), 'expected an address without spaces and without a user name');

const link = z
  .url({ protocol: /^https$/, normalize: true, error: 'expected an https:// address' })
  .max(2_048)
  .refine((value) => !/[\s@]/.test(value), 'expected an address without spaces and without a user name');

const isTimeZone = (value: string) => {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: value }).resolvedOptions().timeZone !== '';
  } catch {
    return false; // Intl throws for what is no time zone; that is the answer.
  }
};

const clock = z.string().regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, 'expected a time such as 22:00');

export const quietHours = z
  .strictObject({
    from: clock,
    to: clock,
    timeZone: z.string().max(64).refine(isTimeZone, 'expected a time zone such as Asia/Kolkata').default('UTC'),
  })
  .refine(({ from, to }) => from !== to, 'expected two different times');

const user = { userId: z.string().regex(/^[\w.:@-]{1,128}$/, 'expected 1 to 128 letters, digits and . : @ _ -') };
const shown = { title: line(200), body: lines(2_000), link: link.optional() };
/** Not disturbed at night: put off until the quiet hours end. */
const considerate = {
  quietHours: quietHours.optional().describe('No notification then: it is put off to their end. Default: QUIET_HOURS.'),
  urgent: z
    .boolean()
    .default(false)
    .describe('Sent at once: neither quiet hours nor the rate of the user hold it back. For codes and alarms.'),
};
const flat = z
  .record(z.string().regex(/^\w{1,64}$/, 'expected a name of letters, digits and _'), z.string().max(1_024))
  .refine((value) => Object.keys(value).length <= 20, 'expected at most 20 fields');

const bytes = (count: number) =>
  z
    .string()
    .regex(/^[\w-]+={0,2}$/, 'expected base64url')
    .refine((value) => Buffer.from(value, 'base64url').length === count, `expected ${count} bytes in base64url`);

/** As `PushSubscription.toJSON()` of a browser gives it. */
export const subscription = z.strictObject({
  endpoint: address,
  expirationTime: z.number().nullish(),
  keys: z.strictObject({ p256dh: bytes(65), auth: bytes(16) }),
});
/** A registration token of Firebase Cloud Messaging. */
const deviceToken = z.string().regex(/^[\w:-]{20,4096}$/, 'expected a registration token or a push subscription');

export const push = z.strictObject({
  channel: z.literal('push'),
  ...user,
  to: z
    .union([deviceToken, subscription])
    .describe('One device: an FCM registration token or a web push subscription.'),
  ...shown,
  data: flat.optional().describe('Given to the app with the notification; 4 KB in all.'),
  ttlSeconds: z
    .int()
    .min(0)
    .max(2_419_200)
    .default(86_400)
    .describe('How long the provider keeps it for a device that is off.'),
  ...considerate,
});

export const sms = z.strictObject({
  channel: z.literal('sms'),
  ...user,
  to: z.string().regex(/^\+[1-9]\d{6,14}$/, 'expected a number such as +919812345678'),
  title: line(200).optional(),
  body: lines(1_600),
  link: link.optional(),
  ...considerate,
});

export const webhook = z.strictObject({
  channel: z.literal('webhook'),
  ...user,
  to: address,
  event: z
    .string()
    .regex(/^[\w.-]{1,100}$/, 'expected a name such as match.ended')
    .default('notification')
    .describe('The `type` of the body.'),
  title: line(200).optional(),
  body: lines(2_000).optional(),
  link: link.optional(),
  data: z.record(z.string().max(64), z.json()).optional(),
});

export const inApp = z.strictObject({
  channel: z.literal('in-app'),
  ...user,
  ...shown,
  data: flat.optional(),
});
