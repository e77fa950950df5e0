/** Errors over HTTP: RFC 9457 `application/problem+json`, the same shape for every status. No stack, no host name, no value of the request. */
import { LimitedError, type ProducerCode, type ProducerError, producerCodes } from './errors.ts';

export interface Problem {
  /** Stable per code. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ProducerCode;
  readonly detail: string;
  readonly errors: readonly { readonly path: string; readonly message: string }[];
  /** The request id; the log has the same one. */
  readonly instance: string;
}

export const problemType = 'application/problem+json';

/** Code → status and what to do; docs/errors.md is made of it. */
export const apiCodes: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(producerCodes).map(([code, { status, help }]) => [code, `HTTP ${status}. ${help}`]),
);

export function problemOf(error: ProducerError, requestId: string): Problem {
  const known = producerCodes[error.code];
  const isTooFull = error instanceof LimitedError && error.status === 503;
  const { status, title } = isTooFull ? { status: 503, title: 'Too full' } : known;
  return {
    type: `urn:jobfleet:error:${error.code.toLowerCase().replaceAll('_', '-')}`,
    title,
    status,
    code: error.code,
    detail: error.message,
    errors: error.errors,
    instance: requestId,
  };
}
