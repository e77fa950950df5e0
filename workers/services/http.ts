/**
 * Streams an input that a payload named, over the guarded connection of `guard.ts`. What handlers ask servers of others
 * goes through `ask.ts`; both share the guard.
 */
import { Readable } from 'node:stream';
import { type Dispatcher, request } from 'undici';
import { giveUp, JobError, retry, tryAgainIn } from '../../jobs/errors.ts';
import type { Breakers } from '../breaker.ts';
import { asOutcome, forbidden, type GuardOptions, openLine, parseAddress, redirectOf } from './guard.ts';
import type { FetchUrl } from './objects.ts';
import { leaveWith, outcomeOf } from './watched-objects.ts';

export type { LookupAll } from './guard.ts';

export interface GuardedFetchOptions extends GuardOptions {
  readonly maxBytes: number;
  /** For the whole of it: look-up, redirects, headers and body. Default 15,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface Fetched {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Fails with a `JobError`: `LIMIT_EXCEEDED` over `maxBytes`, else `NETWORK`. Read it or destroy it. */
  readonly body: Readable;
  /** Where the answer came from, after redirects. */
  readonly url: string;
}

const maxRedirects = 3;

/** Milliseconds of a Retry-After, as seconds or date; undefined when there is none that can be read. */
export function retryAfterMs(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1_000 : Date.parse(value) - now;
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

function refusal(status: number, host: string, headers: Readonly<Record<string, string>>): JobError {
  const code = `HTTP_${status}`;
  const message = `${host} answered ${status}; expected 200`;
  const waitMs = retryAfterMs(headers['retry-after'], Date.now());
  if ((status === 429 || status === 503) && waitMs !== undefined) return tryAgainIn(waitMs, code, message);
  if (status >= 500 || status === 408 || status === 425 || status === 429) return retry(code, message);
  return giveUp(code, message);
}

export function flatHeaders(response: Pick<Dispatcher.ResponseData, 'headers'>): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(response.headers)) {
    if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return flat;
}

async function* counted(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
  end: { readonly close: () => Promise<void>; readonly asOutcome: (error: unknown) => unknown },
): AsyncGenerator<Uint8Array> {
  let seenBytes = 0;
  try {
    for await (const chunk of body) {
      seenBytes += chunk.byteLength;
      if (seenBytes > maxBytes) throw giveUp('LIMIT_EXCEEDED', `expected at most ${maxBytes} bytes, got more`);
      yield chunk;
    }
  } catch (error) {
    throw end.asOutcome(error);
  } finally {
    await end.close();
  }
}

type Hop = { readonly fetched: Fetched } | { readonly next: URL };

/** One request. Either its body is on its way, and closes the connection at its end, or it points elsewhere. */
async function oneHop(url: URL, options: GuardedFetchOptions, signal: AbortSignal, timeoutMs: number): Promise<Hop> {
  const { agent, close } = openLine(url, options, timeoutMs);
  const judge = (error: unknown): unknown => asOutcome(error, url, options.signal);
  try {
    // Not compressed: a body that unpacks to more than was counted must not exist.
    const headersOut = { 'accept-encoding': 'identity', 'user-agent': 'jobfleet' };
    const response = await request(url, { dispatcher: agent, signal, headers: headersOut });
    const headers = flatHeaders(response);
    const next = redirectOf(response.statusCode, headers, url);
    if (next !== undefined) {
      await close();
      return { next };
    }
    if (response.statusCode < 200 || response.statusCode > 299) throw refusal(response.statusCode, url.host, headers);
    if (Number(headers['content-length'] ?? 0) > options.maxBytes) {
      throw giveUp('LIMIT_EXCEEDED', `expected at most ${options.maxBytes} bytes, got ${headers['content-length']}`);
    }
    const chunks = counted(response.body, options.maxBytes, { close, asOutcome: judge });
    const body = Readable.from(chunks, { objectMode: false });
    return { fetched: { status: response.statusCode, headers, body, url: url.href } };
  } catch (error) {
    await close();
    throw judge(error);
  }
}

/**
 * GETs `address`, following at most three redirects, each judged like the first address. Throws a `JobError`:
 * `FORBIDDEN_TARGET` and `LIMIT_EXCEEDED` are dead, `NETWORK` and 5xx retry, 429 and 503 with Retry-After come later,
 * any other answer but 2xx is dead with `HTTP_<status>`. Proxies of the environment are not used.
 */
export async function guardedFetch(address: string, options: GuardedFetchOptions): Promise<Fetched> {
  const timeoutMs = options.timeoutMs ?? 15_000;
  const limit = AbortSignal.timeout(timeoutMs);
  const signal = options.signal === undefined ? limit : AbortSignal.any([limit, options.signal]);
  let url = parseAddress(address);
  for (let redirected = 0; redirected <= maxRedirects; redirected += 1) {
    const hop = await oneHop(url, options, signal, timeoutMs);
    if ('fetched' in hop) return hop.fetched;
    url = hop.next;
  }
  throw forbidden(`more than ${maxRedirects} redirects, the last to ${url.host}`);
}

/** `guardedFetch` behind the circuit breaker of the host: `DEPENDENCY_DOWN` (later) while it is left alone. */
export function createFetch(options: GuardOptions & { readonly breakers: Pick<Breakers, 'enter'> }): FetchUrl {
  const { breakers, ...guard } = options;
  return async (url, limits) => {
    const pass = breakers.enter(parseAddress(url).host);
    try {
      const fetched = await guardedFetch(url, { ...limits, ...guard });
      leaveWith(fetched.body, pass);
      return fetched;
    } catch (error) {
      pass.leave(outcomeOf(error));
      throw error;
    }
  };
}
