/** The variables of the channels, and which of them are complete. */
import { z } from 'zod';
import { type ServiceAccount, serviceAccount } from './fcm.ts';
import { quietHours } from './payload.ts';
import type { QuietHours } from './quiet.ts';
import { type EndpointSecrets, parseSecrets } from './secrets.ts';
import type { SmsAccount } from './sms.ts';
import { checkVapidKeys, type VapidKeys } from './web-push.ts';

const origin = (error: string) => z.url({ protocol: /^https?$/, error }).transform((url) => new URL(url).origin);

/** Text → value, with what the parser throws as the problem. Values are secret: no message repeats them. */
const parsed = <T>(parse: (text: string) => T) =>
  z.string().transform((text, ctx) => {
    try {
      return parse(text);
    } catch (error) {
      ctx.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'cannot be read' });
      return z.NEVER;
    }
  });

function parseAccount(text: string): ServiceAccount {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Error('expected the JSON of a service account key'); // The text of the parser would repeat the key.
  }
  const account = serviceAccount.safeParse(json);
  if (account.success) return account.data;
  throw new Error(account.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
}

function parseQuietHours(text: string): QuietHours {
  const [, from, to, timeZone] = /^(\S+)-(\d\S+)(?: (\S+))?$/.exec(text) ?? [];
  const hours = quietHours.safeParse({ from, to, ...(timeZone && { timeZone }) });
  if (!hours.success) throw new Error('expected a time from and to, such as 22:00-07:00 Asia/Kolkata');
  return hours.data;
}

const word = z.string().regex(/^[\x21-\x7e]{1,512}$/, 'expected printable ASCII without spaces');

const variables = z.object({
  FCM_SERVICE_ACCOUNT: parsed(parseAccount)
    .optional()
    .describe('Push to apps: the JSON of a service account key of the Firebase project (or FCM_SERVICE_ACCOUNT_FILE).'),
  FCM_URL: origin('expected http:// or https://')
    .default('https://fcm.googleapis.com')
    .describe('Where Firebase Cloud Messaging is.'),
  QUIET_HOURS: parsed(parseQuietHours)
    .optional()
    .describe(
      'No push and no text message then, unless urgent: `22:00-07:00 Asia/Kolkata` (default zone UTC). A payload may name its own.',
    ),
  TWILIO_ACCOUNT_SID: word.optional().describe('Text messages: the account.'),
  TWILIO_AUTH_TOKEN: word.optional().describe('Text messages: its token (or TWILIO_AUTH_TOKEN_FILE).'),
  TWILIO_FROM: z
    .string()
    .regex(/^[+\w ]{2,40}$/, 'expected a number, a sender name or a messaging service')
    .optional()
    .describe('Text messages: the sending number, name, or messaging service (MG…).'),
  TWILIO_URL: origin('expected http:// or https://')
    .default('https://api.twilio.com')
    .describe('Where the provider of text messages is; any that takes the same form post.'),
  VAPID_PRIVATE_KEY: word
    .optional()
    .describe('Push to browsers: the private key, base64url (or VAPID_PRIVATE_KEY_FILE).'),
  VAPID_PUBLIC_KEY: word.optional().describe('Push to browsers: the public key the page subscribed with, base64url.'),
  VAPID_SUBJECT: z
    .string()
    .regex(/^(?:mailto:\S+@\S+|https:\/\/\S+)$/, 'expected mailto:… or https://…')
    .optional()
    .describe('Push to browsers: how a push service reaches the sender, mailto: or https:.'),
  WEBHOOK_SECRETS: parsed(parseSecrets)
    .optional()
    .describe(
      'Webhooks: who signs what, `hooks.example.com=whsec_… *=whsec_…`, separated by spaces; two secrets by comma while they are exchanged (or WEBHOOK_SECRETS_FILE).',
    ),
});
export const settings = variables.superRefine((env, ctx) => {
  try {
    const keys = vapidKeysOf(env);
    if (keys !== undefined) checkVapidKeys(keys);
  } catch (error) {
    const message = error instanceof Error ? error.message.split('\n', 1)[0] : undefined;
    ctx.addIssue({ code: 'custom', path: ['VAPID_PUBLIC_KEY'], message: message ?? 'no pair of VAPID keys' });
  }
});
export type Settings = z.output<typeof variables>;

function vapidKeysOf(env: Settings): VapidKeys | undefined {
  const { VAPID_SUBJECT: subject, VAPID_PUBLIC_KEY: publicKey, VAPID_PRIVATE_KEY: privateKey } = env;
  return subject && publicKey && privateKey ? { subject, publicKey, privateKey } : undefined;
}

/** What each channel needs, or one sentence that says what is missing. */
export interface Channels {
  readonly fcm: { readonly account: ServiceAccount; readonly origin: string } | string;
  readonly sms: SmsAccount | string;
  readonly webhook: EndpointSecrets | string;
  readonly webPush: VapidKeys | string;
}

export function channelsOf(env: Settings): Channels {
  const { TWILIO_ACCOUNT_SID: accountSid, TWILIO_AUTH_TOKEN: authToken, TWILIO_FROM: from } = env;
  return {
    fcm:
      env.FCM_SERVICE_ACCOUNT === undefined
        ? missing('push to apps', ['FCM_SERVICE_ACCOUNT'], env)
        : { account: env.FCM_SERVICE_ACCOUNT, origin: env.FCM_URL },
    sms:
      accountSid && authToken && from
        ? { origin: env.TWILIO_URL, accountSid, authToken, from }
        : missing('text messages', ['TWILIO_ACCOUNT_SID', 'TWILIO_AUTH_TOKEN', 'TWILIO_FROM'], env),
    webhook: env.WEBHOOK_SECRETS ?? missing('webhooks', ['WEBHOOK_SECRETS'], env),
    webPush:
      vapidKeysOf(env) ?? missing('push to browsers', ['VAPID_SUBJECT', 'VAPID_PUBLIC_KEY', 'VAPID_PRIVATE_KEY'], env),
  };
}

function missing(channel: string, names: readonly (keyof Settings)[], env: Settings): string {
  return `${channel} cannot be sent here: set ${names.filter((name) => env[name] === undefined).join(', ')}`;
}
