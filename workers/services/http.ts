/**
 * Fetches an address that a payload named. Nothing but public hosts on ports 80 and 443 is reached, however the
 * address is spelled, whatever DNS answers and wherever a redirect points: literals are judged before connecting
 * (`connect.lookup` is never called for them), every answer of a look-up is judged and only judged answers are
 * connected to, and the peer of the open socket is judged once more.
 */
import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { Readable } from 'node:stream';
import { Agent, buildConnector, type Dispatcher, request } from 'undici';
import { giveUp, JobError, retry, tryAgainIn } from '../../jobs/errors.ts';
import { isPublicAddress, literalAddress } from './address.ts';

/** Like `dns.lookup` with `all: true`. */
export type LookupAll = (
  hostname: string,
  options: { readonly all: true },
  done: (error: Error | null, addresses: LookupAddress[]) => void,
) => void;

export interface GuardedFetchOptions {
  readonly maxBytes: number;
  /** For the whole of it: look-up, redirects, headers and body. Default 15,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** `host:port` pairs that may be private and on any port, as an operator or a test named them; never from a payload. */
  readonly allow?: readonly string[];
  /** Who answers look-ups; default the system. */
  readonly lookup?: LookupAll;
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
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const defaultPorts: ReadonlyMap<string, string> = new Map([
  ['http:', '80'],
  ['https:', '443'],
]);

const forbidden = (what: string): JobError =>
  giveUp('FORBIDDEN_TARGET', `${what}; expected a public host on port 80 or 443`);

/** Throws `FORBIDDEN_TARGET`, or answers whether host and port are on the operator's list. */
function checkTarget(url: URL, allow: readonly string[]): boolean {
  const port = url.port === '' ? defaultPorts.get(url.protocol) : url.port;
  if (port === undefined) throw forbidden(`the protocol ${url.protocol} is not http: or https:`);
  if (url.username !== '' || url.password !== '') throw forbidden('the address carries a user name or password');
  if (allow.includes(`${url.hostname}:${port}`)) return true;
  if (port !== '80' && port !== '443') throw forbidden(`port ${port} is not open to jobs`);
  const address = literalAddress(url.hostname);
  if (address !== undefined && !isPublicAddress(address)) throw forbidden(`${url.hostname} is not a public address`);
  return false;
}

function judgedLookup(lookup: LookupAll): LookupFunction {
  return (hostname, options, done) => {
    lookup(hostname, { all: true }, (error, addresses) => {
      const [first] = addresses ?? [];
      if (error !== null || first === undefined) {
        done(error ?? new Error(`no address for ${hostname}`), '', 0);
      } else if (!addresses.every((entry) => isPublicAddress(entry.address))) {
        // One private answer among public ones is an attack on whoever takes only the first.
        done(forbidden(`${hostname} resolves to an address that is not public`), '', 0);
      } else if (options.all === true) done(null, addresses);
      else done(null, first.address, first.family);
    });
  };
}

function openAgent(isAllowed: boolean, lookup: LookupAll, timeoutMs: number): Agent {
  const limits = { connections: 1, pipelining: 0, headersTimeout: timeoutMs, bodyTimeout: timeoutMs };
  if (isAllowed) return new Agent({ ...limits, connect: { timeout: timeoutMs } });
  const connect = buildConnector({ timeout: timeoutMs, lookup: judgedLookup(lookup) });
  return new Agent({
    ...limits,
    connect(options, done) {
      connect(options, (...result) => {
        const [error, socket] = result;
        if (error === null && socket !== null && !isPublicAddress(socket.remoteAddress ?? '')) {
          socket.destroy();
          done(forbidden(`${options.hostname} led to ${socket.remoteAddress ?? 'an unknown peer'}`), null);
        } else done(...result);
      });
    },
  });
}

/** What went wrong below us, as an outcome. The reason of the caller's own abort passes through. */
function asOutcome(error: unknown, url: URL, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true) return signal.reason;
  for (let cause = error; cause instanceof Error; cause = cause.cause) if (cause instanceof JobError) return cause;
  const detail = error instanceof Error ? error.message : String(error);
  return retry('NETWORK', `${url.host} could not be read: ${detail}`, 0, { cause: error });
}

/** Milliseconds of a Retry-After, as seconds or date; undefined when there is none that can be read. */
function retryAfterMs(value: string | undefined, now: number): number | undefined {
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

function flatHeaders(response: Dispatcher.ResponseData): Record<string, string> {
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
  const agent = openAgent(checkTarget(url, options.allow ?? []), options.lookup ?? systemLookup, timeoutMs);
  const close = async (): Promise<void> => agent.destroy();
  const judge = (error: unknown): unknown => asOutcome(error, url, options.signal);
  try {
    // Not compressed: a body that unpacks to more than was counted must not exist.
    const headersOut = { 'accept-encoding': 'identity', 'user-agent': 'jobfleet' };
    const response = await request(url, { dispatcher: agent, signal, headers: headersOut });
    const headers = flatHeaders(response);
    const location = redirects.has(response.statusCode) ? headers['location'] : undefined;
    if (location !== undefined) {
      if (!URL.canParse(location, url.href)) throw forbidden(`${url.host} redirects to "${location.slice(0, 80)}"`);
      await close();
      return { next: new URL(location, url.href) };
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
  if (!URL.canParse(address)) throw forbidden(`"${address.slice(0, 80)}" is no address`);
  const timeoutMs = options.timeoutMs ?? 15_000;
  const limit = AbortSignal.timeout(timeoutMs);
  const signal = options.signal === undefined ? limit : AbortSignal.any([limit, options.signal]);
  let url = new URL(address);
  for (let redirected = 0; redirected <= maxRedirects; redirected += 1) {
    const hop = await oneHop(url, options, signal, timeoutMs);
    if ('fetched' in hop) return hop.fetched;
    url = hop.next;
  }
  throw forbidden(`more than ${maxRedirects} redirects, the last to ${url.host}`);
}
