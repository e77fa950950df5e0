/** Text messages by a provider that takes Twilio's form post. */
import { z } from 'zod';
import type { JobContext } from '../define.ts';
import { codeWord, type Delivery, gone, jsonOf, refusalOf } from './answers.ts';
import type { sms } from './payload.ts';

type Sms = z.output<typeof sms>;

export interface SmsAccount {
  readonly origin: string;
  readonly accountSid: string;
  readonly authToken: string;
  /** A number, a short code or sender name, or the id of a messaging service (`MG…`). */
  readonly from: string;
}

const sent = z.object({ sid: z.string().regex(/^\w{1,64}$/) });
const refused = z.object({ code: z.number().optional() });
/** The receiver has unsubscribed, or the number cannot get messages: it stays so. */
const goneCodes: ReadonlySet<number> = new Set([21_211, 21_610, 21_614]);

function smsText({ title, body, link }: Pick<Sms, 'body' | 'link' | 'title'>): string {
  return [title, body, link].filter((part) => part !== undefined).join('\n');
}

export async function sendSms(
  account: SmsAccount,
  payload: Sms,
  { http }: Pick<JobContext, 'http'>,
): Promise<Delivery> {
  const { origin, accountSid, authToken, from } = account;
  const sender = from.startsWith('MG') ? { MessagingServiceSid: from } : { From: from };
  const answer = await http({
    url: `${origin}/2010-04-01/Accounts/${accountSid}/Messages.json`,
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`${accountSid}:${authToken}`).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams({ To: payload.to, ...sender, Body: smsText(payload) }).toString(),
    dependency: 'sms',
    maxBytes: 65_536,
    redirects: 0,
    timeoutMs: 15_000,
  });
  if (answer.status === 200 || answer.status === 201)
    return { status: 'sent', providerId: sent.safeParse(jsonOf(answer)).data?.sid ?? null };
  const code = refused.safeParse(jsonOf(answer)).data?.code;
  if (answer.status === 400 && code !== undefined && goneCodes.has(code)) return gone;
  throw refusalOf('the SMS provider', answer, codeWord(code));
}
