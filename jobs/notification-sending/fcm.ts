/** Push to an app by Firebase Cloud Messaging, HTTP v1: a signed token of the service account buys an hour's access. */
import { importPKCS8, SignJWT } from 'jose';
import { z } from 'zod';
import type { JobContext } from '../define.ts';
import { retry } from '../errors.ts';
import { codeWord, type Delivery, gone, jsonOf, refusalOf } from './answers.ts';
import type { push } from './payload.ts';

type Push = z.output<typeof push>;

/** What of a service account's key file is needed. */
export const serviceAccount = z.object({
  project_id: z.string().regex(/^[a-z][a-z0-9-]{3,62}$/, 'expected a project id'),
  client_email: z.email(),
  private_key: z.string().startsWith('-----BEGIN PRIVATE KEY-----', 'expected a PKCS #8 key'),
  token_uri: z.url({ protocol: /^https?$/ }).default('https://oauth2.googleapis.com/token'),
});
export type ServiceAccount = z.output<typeof serviceAccount>;

const scope = 'https://www.googleapis.com/auth/firebase.messaging';
const tokenAnswer = z.object({ access_token: z.string().min(1), expires_in: z.number().positive() });
const sentAnswer = z.object({ name: z.string() });
const problem = z.object({
  error: z.object({
    status: z.string().optional(),
    details: z.array(z.looseObject({ errorCode: z.string().optional() })).optional(),
  }),
});
/** Fetched anew so long before it ends. */
const marginMs = 300_000;

type Buyer = Pick<JobContext, 'http' | 'signal'>;

export interface Fcm {
  /** Access for `send`, bought once for all jobs of the process. No part of the effect: whatever goes wrong here, nothing was sent. */
  access(ctx: Buyer): Promise<string>;
  send(payload: Push, token: string, access: string, ctx: Pick<JobContext, 'http' | 'id'>): Promise<Delivery>;
}

/** `origin`: where messages are sent to. */
export function openFcm(account: ServiceAccount, origin: string): Fcm {
  let access: { readonly token: string; readonly until: number } | undefined;
  let buying: { readonly buyer: AbortSignal; readonly token: Promise<string> } | undefined;
  const buy = async ({ http }: Buyer): Promise<string> => {
    try {
      access = await buyAccess(account, http);
      return access.token;
    } finally {
      buying = undefined;
    }
  };
  return {
    async access(ctx) {
      // One job asks for all and the others get what it gets, but for its end: when it is cancelled, another one asks.
      for (;;) {
        ctx.signal.throwIfAborted();
        if (access !== undefined && Date.now() < access.until) return access.token;
        buying ??= { buyer: ctx.signal, token: buy(ctx) };
        const { buyer, token } = buying;
        try {
          return await token;
        } catch (error) {
          if (!buyer.aborted || buyer === ctx.signal) throw error;
        }
      }
    },
    async send(payload, token, bought, { id, http }) {
      const answer = await http({
        url: `${origin}/v1/projects/${account.project_id}/messages:send`,
        method: 'POST',
        headers: { authorization: `Bearer ${bought}`, 'content-type': 'application/json' },
        body: JSON.stringify({ message: messageOf(payload, token, id) }),
        dependency: 'fcm',
        maxBytes: 65_536,
        redirects: 0,
        timeoutMs: 10_000,
      });
      if (answer.status === 200)
        return { status: 'sent', providerId: sentAnswer.safeParse(jsonOf(answer)).data?.name ?? null };
      const code = errorCode(jsonOf(answer));
      if (code === 'UNREGISTERED') return gone;
      // Revoked before its time: the next attempt buys another.
      if (answer.status === 401 && access?.token === bought) access = undefined;
      throw refusalOf('FCM', answer, code);
    },
  };
}

async function buyAccess(account: ServiceAccount, http: JobContext['http']) {
  const key = await importPKCS8(account.private_key, 'RS256');
  const assertion = await new SignJWT({ scope })
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT' })
    .setIssuer(account.client_email)
    .setAudience(account.token_uri)
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(key);
  const answer = await http({
    url: account.token_uri,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion }).toString(),
    dependency: 'fcm',
    maxBytes: 65_536,
    redirects: 0,
    timeoutMs: 10_000,
  });
  const bought = answer.status === 200 ? tokenAnswer.safeParse(jsonOf(answer)).data : undefined;
  if (bought === undefined) {
    const said = `the token server of FCM answered ${answer.status}; check FCM_SERVICE_ACCOUNT`;
    throw retry(`HTTP_${answer.status}`, said, answer.retryAfterMs ?? 0);
  }
  return { token: bought.access_token, until: Date.now() + bought.expires_in * 1_000 - marginMs };
}

function messageOf({ title, body, link, data, ttlSeconds, urgent }: Push, token: string, id: string) {
  return {
    token,
    notification: { title, body },
    data: { ...data, ...(link && { link }), notificationId: id },
    android: { priority: urgent ? 'HIGH' : 'NORMAL', ttl: `${ttlSeconds}s`, collapse_key: id.slice(0, 64) },
    apns: {
      headers: {
        'apns-priority': urgent ? '10' : '5',
        'apns-expiration': String(Math.floor(Date.now() / 1_000) + ttlSeconds),
        'apns-collapse-id': id.slice(0, 64),
      },
    },
    ...(link && { webpush: { fcm_options: { link } } }),
  };
}

function errorCode(answer: unknown): string | undefined {
  const { data } = problem.safeParse(answer);
  const detailed = data?.error.details?.find(({ errorCode: code }) => code !== undefined)?.errorCode;
  return codeWord(detailed ?? data?.error.status);
}
