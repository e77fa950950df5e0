/** Push to a browser: encrypted for the device (RFC 8291, aes128gcm), signed with the VAPID key (RFC 8292). */
import { createHash } from 'node:crypto';
import webPush from 'web-push';
import type { z } from 'zod';
import type { JobContext } from '../define.ts';
import { giveUp, nothingHappened } from '../errors.ts';
import { codeWord, type Delivery, gone, refusalOf } from './answers.ts';
import type { push, subscription } from './payload.ts';

export interface VapidKeys {
  /** `mailto:` or `https:`, so that a push service can reach whoever sends. */
  readonly subject: string;
  readonly publicKey: string;
  readonly privateKey: string;
}

type Push = z.output<typeof push>;
type Subscription = z.output<typeof subscription>;
/** What push services take: 4096 bytes of the whole record, of which header, padding and tag need 103. */
const largestBytes = 3_993;

/** Throws one sentence when the keys are none. */
export function checkVapidKeys(keys: VapidKeys): void {
  webPush.getVapidHeaders('https://push.example', keys.subject, keys.publicKey, keys.privateKey, 'aes128gcm');
}

/** The message of a push: JSON that the service worker of the page reads. */
function pushText(payload: Pick<Push, 'body' | 'data' | 'link' | 'title'>, id: string): string {
  const { title, body, link, data } = payload;
  return JSON.stringify({ id, title, body, ...(link && { link }), ...(data && { data }) });
}

/** Throws `LIMIT_EXCEEDED` over 4 KB, `BAD_SOURCE` for keys that are no point of the curve. */
export async function sendWebPush(
  keys: VapidKeys,
  payload: Push,
  to: Subscription,
  { id, http }: Pick<JobContext, 'http' | 'id'>,
): Promise<Delivery> {
  if (to.expirationTime && to.expirationTime <= Date.now()) return gone;
  const request = requestFor(keys, payload, to, id);
  const answer = await http({ ...request, method: 'POST', redirects: 0, timeoutMs: 15_000, readBody: false });
  if (answer.status === 404 || answer.status === 410) return gone;
  if (answer.status < 200 || answer.status > 299) throw refusalOf('the push service', answer);
  // The message's own address at the push service, which only its last part tells from others.
  const receipt = answer.headers['location']?.split('/').at(-1);
  return { status: 'sent', providerId: codeWord(receipt?.replaceAll(/[^\w]/g, '_')) ?? null };
}

function requestFor(keys: VapidKeys, payload: Push, to: Subscription, id: string) {
  const text = pushText(payload, id);
  const sizeBytes = Buffer.byteLength(text);
  if (sizeBytes > largestBytes)
    throw nothingHappened(
      giveUp('LIMIT_EXCEEDED', `the notification has ${sizeBytes} bytes; a push carries ${largestBytes}`),
    );
  try {
    const details = webPush.generateRequestDetails({ endpoint: to.endpoint, keys: to.keys }, text, {
      TTL: payload.ttlSeconds,
      contentEncoding: 'aes128gcm',
      // A repetition takes the place of one that still waits at the service.
      topic: createHash('sha256').update(id).digest('base64url').slice(0, 32),
      urgency: payload.urgent ? 'high' : 'normal',
      vapidDetails: keys,
    });
    // Text, whatever their types say: the time to live is a number. And undici counts the body itself.
    const headers = Object.entries<unknown>(details.headers)
      .filter(([name]) => name !== 'Content-Length')
      .map(([name, value]) => [name, String(value)]);
    return { url: details.endpoint, headers: Object.fromEntries(headers), body: details.body ?? Buffer.alloc(0) };
  } catch (error) {
    // Its messages repeat the subscription, which is a secret of the device.
    const reason = error instanceof Error ? error.name : 'unknown';
    throw nothingHappened(
      giveUp('BAD_SOURCE', `the push subscription cannot be used (${reason}); ask the browser for a new one`),
    );
  }
}
