/** What the answer of a provider means for a notification. Pure. */
import { giveUp, type JobError, nothingHappened, retry, tryAgainIn } from '../errors.ts';
import type { HttpAnswer } from '../ports.ts';

export interface Delivery {
  readonly status: 'sent' | 'gone' | 'unknown';
  readonly providerId: string | null;
}

export const gone: Delivery = { status: 'gone', providerId: null };

const busyMs = 30_000;
const longestMs = 86_400_000;

/**
 * The error for any answer that is neither a success nor the end of the recipient. `code` is the provider's own word for
 * it, if it is one word: texts may repeat tokens and numbers. A 5xx of the provider itself (500, 503) and every 4xx say
 * that nothing was sent; a gateway's 502 and 504 do not know.
 */
export function refusalOf(
  provider: string,
  answer: Pick<HttpAnswer, 'retryAfterMs' | 'status'>,
  code?: string,
): JobError {
  const { status, retryAfterMs } = answer;
  const name = `HTTP_${status}`;
  const said = `${provider} answered ${status}${code === undefined ? '' : ` (${code})`}`;
  const waitMs = retryAfterMs === undefined ? undefined : Math.min(longestMs, retryAfterMs);
  if (status === 429) return nothingHappened(tryAgainIn(waitMs ?? busyMs, name, said));
  if (status === 503 && waitMs !== undefined) return nothingHappened(tryAgainIn(waitMs, name, said));
  if (status === 502 || status === 504) return retry(name, `${said}; it may have been sent`);
  if (status >= 500 || status === 408 || status === 425) return nothingHappened(retry(name, said));
  if (status === 401) return nothingHappened(retry(name, `${said}; check the credentials of the worker`));
  if (status >= 300 && status < 400) return nothingHappened(giveUp(name, `${said}, a redirect; expected an answer`));
  return nothingHappened(giveUp(name, said));
}

/** The word, if it is one. */
export function codeWord(value: unknown): string | undefined {
  const text = typeof value === 'number' ? String(value) : value;
  return typeof text === 'string' && /^\w{1,40}$/.test(text) ? text : undefined;
}

/** JSON of an answer, or undefined: what a provider's error page says is nobody's business. */
export function jsonOf({ body }: Pick<HttpAnswer, 'body'>): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    return undefined; // No JSON: the status alone speaks.
  }
}
