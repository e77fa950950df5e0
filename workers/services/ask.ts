/**
 * Asks servers of others on behalf of a handler: `ctx.http`. Every hop goes over a guarded connection (`guard.ts`), every
 * try is counted by the circuit breaker of its dependency, and an answer is read whole within its limits: bytes are
 * counted after they were unpacked, and time from the first look-up to the last byte.
 */
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { errors, request as send } from 'undici';
import { giveUp, JobError, nothingHappened } from '../../jobs/errors.ts';
import type { HttpAnswer, HttpRequest } from '../../jobs/ports.ts';
import type { Breakers } from '../breaker.ts';
import { asOutcome, forbidden, type GuardOptions, type Line, openLine, parseAddress, redirectOf } from './guard.ts';
import { flatHeaders, retryAfterMs } from './http.ts';

export interface AskOptions extends GuardOptions {
  readonly breakers: Pick<Breakers, 'enter'>;
  /** Default: `timers/promises`. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Spreads the waits; default `Math.random`. */
  readonly random?: () => number;
}

/** One exchange for one attempt; `signal` is the attempt's. `admit` is asked before each try, once the breaker lets it through. */
export type Ask = (
  request: HttpRequest,
  signal: AbortSignal,
  admit?: (dependency: string) => Promise<void>,
) => Promise<HttpAnswer>;

const defaults = { maxBytes: 5 * 1_024 * 1_024, redirects: 3, timeoutMs: 15_000 };
const longestPauseMs = 10_000;
const worthAnotherTry: ReadonlySet<number> = new Set([502, 503, 504]);
/** What must not follow a redirect to another origin. */
const credentials: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization']);

export function createAsk(options: AskOptions): Ask {
  const { breakers, pause = (ms, signal) => sleep(ms, undefined, { signal }), random = Math.random } = options;
  const once = async (
    request: HttpRequest,
    url: URL,
    signal: AbortSignal,
    admit: Parameters<Ask>[2],
  ): Promise<HttpAnswer> => {
    const dependency = request.dependency ?? url.host;
    const pass = breakers.enter(dependency);
    try {
      await admit?.(dependency);
      const answer = await exchange(request, url, options, signal);
      pass.leave(answer.status >= 500 ? 'failed' : 'ok');
      return answer;
    } catch (error) {
      pass.leave(error instanceof JobError && error.code === 'NETWORK' ? 'failed' : 'unknown');
      throw error;
    }
  };
  return async (request, signal, admit) => {
    signal.throwIfAborted();
    const url = parseAddress(request.url);
    const isSafe = request.method === undefined || request.method === 'GET' || request.method === 'HEAD';
    const tries = request.tries ?? (isSafe ? 3 : 1);
    for (let tried = 1; ; tried += 1) {
      let waitMs = pauseMs(tried, random());
      try {
        const answer = await once(request, url, signal, admit);
        waitMs = Math.max(waitMs, answer.retryAfterMs ?? 0);
        // A server that asks for more patience than that is left to the queue, which waits without a connection.
        if (tried >= tries || !worthAnotherTry.has(answer.status) || waitMs > longestPauseMs) return answer;
      } catch (error) {
        if (tried >= tries || !(error instanceof JobError) || error.code !== 'NETWORK') throw error;
      }
      await pause(waitMs, signal);
    }
  };
}

/** 1 to 2 s after the first try, 2 to 4 after the second, and so on; at most 10. */
function pauseMs(tried: number, random: number): number {
  return Math.min(longestPauseMs, 1_000 * 2 ** (tried - 1) * (1 + random));
}

type Hop = { readonly answer: HttpAnswer } | { readonly next: URL; readonly status: number };

async function exchange(
  request: HttpRequest,
  first: URL,
  guard: GuardOptions,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const { redirects = defaults.redirects, timeoutMs = defaults.timeoutMs } = request;
  const limited = AbortSignal.any([AbortSignal.timeout(timeoutMs), signal]);
  let url = first;
  let asked = request;
  for (let redirected = 0; ; redirected += 1) {
    let line: Line | undefined;
    try {
      line = openLine(url, guard, timeoutMs);
      const hop = await oneHop(asked, url, line.agent, limited);
      if ('answer' in hop) return hop.answer;
      if (redirected >= redirects) throw forbidden(`more than ${redirects} redirects, the last to ${hop.next.host}`);
      asked = redirectedRequest(asked, hop.status, url, hop.next);
      url = hop.next;
    } catch (error) {
      const outcome = asOutcome(error, url, signal);
      const isUnsent = redirected === 0 && line?.isConnected() !== true;
      throw isUnsent && outcome instanceof JobError ? nothingHappened(outcome) : outcome;
    } finally {
      await line?.close();
    }
  }
}

async function oneHop(request: HttpRequest, url: URL, dispatcher: Line['agent'], signal: AbortSignal): Promise<Hop> {
  const { method = 'GET', maxBytes = defaults.maxBytes } = request;
  const headers = { 'accept-encoding': 'gzip, br', 'user-agent': 'jobfleet', ...lowerCase(request.headers) };
  const body = request.body === undefined ? {} : { body: request.body };
  const response = await send(url, { dispatcher, signal, method, headers, ...body }).catch((error: unknown) => {
    // A header that no request may carry: it will not get better.
    if (error instanceof errors.InvalidArgumentError)
      throw nothingHappened(giveUp('PAYLOAD_INVALID', `${url.host} was not asked: ${error.message}`, { cause: error }));
    throw error;
  });
  const { statusCode: status } = response;
  const answered = flatHeaders(response);
  const next = request.redirects === 0 ? undefined : redirectOf(status, answered, url);
  if (next !== undefined) return { next, status };
  const isEmpty = method === 'HEAD' || status === 204 || status === 304 || request.readBody === false;
  // Ends with the connection: what nobody reads is not waited for.
  if (isEmpty) response.body.on('error', () => undefined);
  const waitMs = retryAfterMs(answered['retry-after'], Date.now());
  return {
    answer: {
      status,
      headers: answered,
      body: isEmpty ? new Uint8Array() : await readBody(response.body, answered, maxBytes),
      url: url.href,
      ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
    },
  };
}

async function readBody(
  packed: Readable,
  headers: Readonly<Record<string, string>>,
  maxBytes: number,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  let tooMuch: JobError | undefined;
  const collect = async (source: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const chunk of source) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > maxBytes) {
        tooMuch = giveUp('LIMIT_EXCEEDED', `expected an answer of at most ${maxBytes} bytes`);
        throw tooMuch;
      }
      chunks.push(chunk);
    }
  };
  if (Number(headers['content-length'] ?? 0) > maxBytes)
    throw giveUp('LIMIT_EXCEEDED', `expected an answer of at most ${maxBytes} bytes, got ${headers['content-length']}`);
  const unpack = unpackerOf(headers['content-encoding']);
  try {
    await (unpack === undefined ? pipeline(packed, collect) : pipeline(packed, unpack, collect));
  } catch (error) {
    // The streams that stop because of it may report that first.
    throw tooMuch ?? error;
  }
  return Buffer.concat(chunks, sizeBytes);
}

/** Unpacks a few KB ahead of what is counted, never a whole body. */
function unpackerOf(encoding = 'identity') {
  switch (encoding.trim().toLowerCase()) {
    case '':
    case 'identity':
      return undefined;
    case 'gzip':
    case 'x-gzip':
      return createGunzip();
    case 'br':
      return createBrotliDecompress();
    case 'deflate':
      return createInflate();
    default:
      throw giveUp('BAD_SOURCE', `the answer is packed as "${encoding.slice(0, 40)}"; expected gzip or br`);
  }
}

/** As browsers do: 303, and 301 and 302 to a POST, are followed by a GET; credentials stay with their origin. */
function redirectedRequest(request: HttpRequest, status: number, from: URL, to: URL): HttpRequest {
  const becomesGet = status === 303 || ((status === 301 || status === 302) && request.method === 'POST');
  const headers = Object.entries(lowerCase(request.headers)).filter(
    ([name]) => (from.origin === to.origin || !credentials.has(name)) && !(becomesGet && name.startsWith('content-')),
  );
  const { body, method = 'GET', ...rest } = request;
  const kept = body === undefined ? { method } : { method, body };
  return {
    ...rest,
    ...(becomesGet ? { method: method === 'HEAD' ? method : 'GET' } : kept),
    headers: Object.fromEntries(headers),
  };
}

function lowerCase(headers: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
