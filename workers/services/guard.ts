/**
 * Which hosts an outgoing request may reach, and the connection that holds it to that. Nothing but public hosts on ports
 * 80 and 443 is reached, however the address is spelled and whatever DNS answers: literals are judged before connecting
 * (`connect.lookup` is never called for them), every answer of a look-up is judged and only judged answers are connected
 * to, and the peer of the open socket is judged once more. Proxies of the environment are not used.
 */
import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { Agent, buildConnector } from 'undici';
import { giveUp, JobError, nothingHappened, retry } from '../../jobs/errors.ts';
import { isPublicAddress, literalAddress } from './address.ts';

/** Like `dns.lookup` with `all: true`. */
export type LookupAll = (
  hostname: string,
  options: { readonly all: true },
  done: (error: Error | null, addresses: LookupAddress[]) => void,
) => void;

export interface GuardOptions {
  /** `host:port` pairs that may be private and on any port, as an operator or a test named them; never from a payload. */
  readonly allow?: readonly string[];
  /** Certificates to trust instead of the system's, PEM: for tests with a server of their own. */
  readonly ca?: string;
  /** Who answers look-ups; default the system. */
  readonly lookup?: LookupAll;
}

/** The connection of one request; nothing is kept for the next one, so that a reset is never that of an idle connection. */
export interface Line {
  readonly agent: Agent;
  /** False = nothing of the request can have left this machine. */
  readonly isConnected: () => boolean;
  readonly close: () => Promise<void>;
}

const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const defaultPorts: ReadonlyMap<string, string> = new Map([
  ['http:', '80'],
  ['https:', '443'],
]);

export const forbidden = (what: string): JobError =>
  giveUp('FORBIDDEN_TARGET', `${what}; expected a public host on port 80 or 443`);

/** Throws `FORBIDDEN_TARGET` for what is no address. */
export function parseAddress(address: string): URL {
  // Not URL.canParse: on Node 20 it refuses letters such as "ü" once it has been called some thousand times.
  try {
    return new URL(address);
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw nothingHappened(forbidden(`"${address.slice(0, 80)}" is no address`));
  }
}

/** Where an answer points to, or undefined when it is no redirect. Its target is not judged yet. */
export function redirectOf(status: number, headers: Readonly<Record<string, string>>, from: URL): URL | undefined {
  const location = redirectStatuses.has(status) ? headers['location'] : undefined;
  if (location === undefined) return undefined;
  try {
    return new URL(location, from.href);
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw forbidden(`${from.host} redirects to "${location.slice(0, 80)}"`);
  }
}

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

/** A connection to the host of `url` and to no other. Throws `FORBIDDEN_TARGET` when that is known without connecting. */
export function openLine(url: URL, { allow = [], ca, lookup = systemLookup }: GuardOptions, timeoutMs: number): Line {
  const isAllowed = checkTarget(url, allow);
  const connect = buildConnector({
    timeout: timeoutMs,
    ...(ca === undefined ? {} : { ca }),
    ...(isAllowed ? {} : { lookup: judgedLookup(lookup) }),
  });
  let isConnected = false;
  const agent = new Agent({
    connections: 1,
    pipelining: 0,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connect(options, done) {
      connect(options, (...result) => {
        const [error, socket] = result;
        if (error === null && socket !== null && !isAllowed && !isPublicAddress(socket.remoteAddress ?? '')) {
          socket.destroy();
          done(forbidden(`${options.hostname} led to ${socket.remoteAddress ?? 'an unknown peer'}`), null);
          return;
        }
        isConnected ||= error === null;
        done(...result);
      });
    },
  });
  return { agent, isConnected: () => isConnected, close: async () => agent.destroy() };
}

/** What went wrong below us, as an outcome. The reason of the caller's own abort passes through. */
export function asOutcome(error: unknown, url: URL, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true) return signal.reason;
  for (let cause = error; cause instanceof Error; cause = cause.cause) if (cause instanceof JobError) return cause;
  const detail = error instanceof Error ? error.message : String(error);
  return retry('NETWORK', `${url.host} could not be read: ${detail}`, 0, { cause: error });
}
