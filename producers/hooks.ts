/**
 * Webhooks of others: who may send them, how they are signed, and what job they become. `HOOKS` declares them. The
 * signature is checked over the bytes as they came, before anything of them is read.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { z } from 'zod';
import { tenantRule } from './accept.ts';
import { ProducerError } from './errors.ts';
import { readStrictJson } from './strict-json.ts';

const toleranceS = 300;

const path = z
  .string()
  .max(200)
  .regex(/^\w+(?:\.\w+)*$/, 'expected names with dots between, such as data.id');
const common = {
  type: z.string().max(64),
  tenant: z.string().regex(tenantRule).default('-'),
  pick: path.optional(),
  with: z.record(z.string().max(64), z.json()).default({}),
};
const headerName = z
  .string()
  .regex(/^[A-Za-z0-9-]{1,64}$/, 'expected the name of a header')
  .toLowerCase();

const source = z.discriminatedUnion('scheme', [
  z.strictObject({
    scheme: z.literal('standard'),
    secrets: z
      .array(z.string().regex(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/, 'expected whsec_ and 24 to 64 bytes of base64'))
      .min(1)
      .max(5),
    ...common,
  }),
  z.strictObject({
    scheme: z.literal('hmac'),
    secrets: z.array(z.string().min(16, 'expected at least 16 characters').max(512)).min(1).max(5),
    header: headerName,
    prefix: z.string().max(32).default(''),
    encoding: z.enum(['hex', 'base64']).default('hex'),
    timestampHeader: headerName.optional(),
    id: path.optional(),
    ...common,
  }),
]);
export type HookSource = z.output<typeof source>;

/** The value of `HOOKS`: a JSON object, name of the source → how it signs and what its webhooks become. */
export const hookSources = z.record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/), source);

export interface Hook {
  /** What names the webhook for its sender: the same one twice is one job. */
  readonly id: string;
  readonly payload: unknown;
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** Throws `UNAUTHENTICATED` for a signature that does not fit or is older than five minutes, `MALFORMED` or `INVALID` for a body that fits no job. */
export function readHook(from: HookSource, headers: Headers, body: Buffer, now: number): Hook {
  const signedId =
    from.scheme === 'standard' ? checkStandard(from, headers, body, now) : checkHmac(from, headers, body, now);
  const value = readStrictJson(body);
  const named = from.scheme === 'hmac' && from.id !== undefined ? at(value, from.id) : signedId;
  if ((typeof named !== 'string' && typeof named !== 'number') || named === '' || String(named).length > 200)
    throw invalid(from.scheme === 'hmac' ? (from.id ?? '') : 'webhook-id', 'expected an id of 1 to 200 characters');
  const picked = from.pick === undefined ? value : at(value, from.pick);
  if (typeof picked !== 'object' || picked === null || Array.isArray(picked))
    throw invalid(from.pick ?? '', 'expected an object');
  return { id: String(named), payload: { ...picked, ...from.with } };
}

function checkStandard(
  { secrets }: Extract<HookSource, { scheme: 'standard' }>,
  headers: Headers,
  body: Buffer,
  now: number,
): string {
  const id = one(headers, 'webhook-id');
  // With a dot in it, part of the id could be read as part of the time.
  if (!/^[\w~:-]{1,200}$/.test(id)) throw refused('webhook-id: expected 1 to 200 letters, digits, _, ~, : and -.');
  checkTime(one(headers, 'webhook-timestamp'), now);
  const signed = {
    'webhook-id': id,
    'webhook-timestamp': one(headers, 'webhook-timestamp'),
    'webhook-signature': one(headers, 'webhook-signature'),
  };
  // All of them are tried, so that the time says nothing of which one fits.
  const fits = secrets.map((secret) => verifies(secret, body, signed));
  if (!fits.includes(true)) throw refused('webhook-signature: none of its signatures fits.');
  return id;
}

function verifies(secret: string, body: Buffer, headers: Record<string, string>): boolean {
  try {
    new Webhook(secret).verify(body, headers, { jsonParse: false });
    return true;
  } catch {
    return false; // The library throws for what does not verify: that is the answer.
  }
}

/** The id is the body's own hash: of what was signed, nothing else names it. */
function checkHmac(from: Extract<HookSource, { scheme: 'hmac' }>, headers: Headers, body: Buffer, now: number): string {
  const { secrets, header, prefix, encoding, timestampHeader } = from;
  const time = timestampHeader === undefined ? undefined : one(headers, timestampHeader);
  if (time !== undefined) checkTime(time, now);
  const given = one(headers, header);
  const signature = Buffer.from(given.slice(prefix.length), encoding);
  const signed = time === undefined ? [body] : [Buffer.from(`${time}.`), body];
  const fits = secrets.map((secret) => {
    const hmac = createHmac('sha256', secret);
    for (const part of signed) hmac.update(part);
    const expected = hmac.digest();
    return signature.length === expected.length && timingSafeEqual(signature, expected);
  });
  if (!given.startsWith(prefix) || !fits.includes(true)) throw refused(`${header}: the signature does not fit.`);
  return createHash('sha256').update(body).digest('hex');
}

function checkTime(seconds: string, now: number): void {
  if (!/^\d{1,12}$/.test(seconds) || Math.abs(now / 1_000 - Number(seconds)) > toleranceS)
    throw refused('The time of the signature is more than five minutes off.');
}

function one(headers: Headers, name: string): string {
  const value = headers[name];
  if (typeof value !== 'string') throw refused(`${name}: expected one such header.`);
  return value;
}

function at(value: unknown, names: string): unknown {
  let found = value;
  for (const name of names.split('.')) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return undefined;
    found = Object.entries(found).find(([key]) => key === name)?.[1];
  }
  return found;
}

const refused = (message: string): ProducerError => new ProducerError('UNAUTHENTICATED', message);
const invalid = (where: string, message: string): ProducerError =>
  new ProducerError('INVALID', `${where}: ${message}`, [{ path: where, message }]);
