/**
 * Webhooks as the Standard Webhooks specification wants them: the body is signed as the text that is sent, under the
 * job's id, by every secret of the endpoint. Ten tries over about 75 hours; each is one once-record, which counts them,
 * so that neither a crash nor a deploy adds a try. Receivers drop repetitions by `webhook-id`.
 */
import { Webhook } from 'standardwebhooks';
import type { z } from 'zod';
import type { JobContext } from '../define.ts';
import { giveUp, JobError, tryAgainIn } from '../errors.ts';
import { type Delivery, gone } from './answers.ts';
import type { webhook } from './payload.ts';

type WebhookPayload = z.output<typeof webhook>;

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
/** Waits between the tries. */
export const steps: readonly number[] = [
  5 * second,
  5 * minute,
  30 * minute,
  2 * hour,
  5 * hour,
  10 * hour,
  14 * hour,
  20 * hour,
  24 * hour,
];
const largestBytes = 20_000;
/** A Retry-After beyond this is cut: nine such waits and a day for a queue that is behind end before the job expires. */
const longestWaitMs = 12 * hour;

/** How one try ended; kept in its once-record. */
interface Tried {
  /** 0 = no answer; `problem` says why. */
  readonly status: number;
  readonly problem?: string;
  /** When the next try is due, epoch ms. */
  readonly nextAt: number;
}

export interface WebhookParts {
  readonly secrets: readonly string[];
  /** Spreads the waits; default `Math.random`. */
  readonly random?: () => number;
}

/** The text that is sent and signed. Throws `LIMIT_EXCEEDED` from 20 kB on. */
function webhookText(payload: WebhookPayload, id: string, at: string): string {
  const { userId, event, title, body, link, data } = payload;
  const text = JSON.stringify({
    type: event,
    timestamp: at,
    data: { id, userId, ...(title && { title }), ...(body && { body }), ...(link && { link }), ...(data && { data }) },
  });
  const sizeBytes = Buffer.byteLength(text);
  if (sizeBytes >= largestBytes)
    throw giveUp('LIMIT_EXCEEDED', `the webhook has ${sizeBytes} bytes; expected less than ${largestBytes}`);
  return text;
}

/** `webhook-id`, `-timestamp` and `-signature`: one signature for each secret, while they are being exchanged. */
export function signatureHeaders(secrets: readonly string[], id: string, at: Date, text: string) {
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / second)),
    'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(id, at, text)).join(' '),
  };
}

/** Throws `HTTP_<status>` or `NETWORK`: later until the last try, then dead. A redirect is a failure. */
export async function sendWebhook(
  payload: WebhookPayload,
  ctx: Pick<JobContext, 'http' | 'id' | 'log' | 'once'>,
  parts: WebhookParts,
): Promise<Delivery> {
  const at = (await ctx.once('at', async () => new Date().toISOString())) ?? '';
  const text = webhookText(payload, ctx.id, at);
  for (let number = 1; ; number += 1) {
    let isFresh = false;
    const tried = await ctx.once(`try-${number}`, () => {
      isFresh = true;
      return tryOnce(number, payload.to, text, ctx, parts);
    });
    if (tried === undefined) throw new Error(`the once-record of try ${number} holds no status`);
    if (tried.status >= 200 && tried.status <= 299) return { status: 'sent', providerId: ctx.id };
    if (tried.status === 410) return gone;
    const isLast = number > steps.length;
    const waitMs = tried.nextAt - Date.now();
    // A dead letter that is redriven has one more try each time.
    if (isLast ? isFresh : waitMs > 0) throw notTaken(number, tried, isLast ? undefined : waitMs);
  }
}

function notTaken(number: number, { status, problem }: Tried, waitMs: number | undefined): JobError {
  const said = `try ${number} of ${steps.length + 1}: ${problem ?? `the endpoint answered ${status}; expected 200 to 299`}`;
  const code = status === 0 ? 'NETWORK' : `HTTP_${status}`;
  return waitMs === undefined ? giveUp(code, said) : tryAgainIn(waitMs, code, said);
}

/** Any answer is the end of a try, and so is none; an open breaker or a forbidden address is no try. */
async function tryOnce(
  number: number,
  url: string,
  text: string,
  { http, id, log }: Pick<JobContext, 'http' | 'id' | 'log'>,
  { secrets, random = Math.random }: WebhookParts,
): Promise<Tried> {
  const headers = { 'content-type': 'application/json', ...signatureHeaders(secrets, id, new Date(), text) };
  const step = (steps[number - 1] ?? 0) * (0.9 + random() / 5);
  try {
    // What the endpoint says beside its status is not read: it may be endless.
    const answer = await http({ url, method: 'POST', headers, body: text, redirects: 0, readBody: false });
    const { status, retryAfterMs = 0 } = answer;
    const waitMs = Math.max(step, Math.min(retryAfterMs, longestWaitMs));
    if (status > 299) log('the endpoint did not take the webhook', { try: number, status });
    return { status, nextAt: Math.round(Date.now() + waitMs) };
  } catch (error) {
    if (!(error instanceof JobError) || error.code !== 'NETWORK') throw error;
    log('the endpoint did not answer', { try: number });
    return { status: 0, problem: error.message.slice(0, 200), nextAt: Math.round(Date.now() + step) };
  }
}
