/** What every store says when it cannot be used: one sentence with what was tried, the cause and the way out. */

export type BackendErrorCode =
  | 'BACKEND_FORBIDDEN'
  | 'BACKEND_UNREACHABLE'
  | 'BACKEND_UNSUPPORTED'
  | 'BACKEND_UNTRUSTED'
  | 'BACKEND_URL';

/** The store named by QUEUE_URL cannot be used. `message` is one sentence fit for a terminal; no password in it. */
export class BackendError extends Error {
  override readonly name = 'BackendError';
  readonly code: BackendErrorCode;
  constructor(code: BackendErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** An address fit for messages and logs: user, password and query left out. */
export function shownUrl(url: string): string {
  // Several hosts in one address are no URL.
  if (!URL.canParse(url)) return url.replace(/\/\/[^@/]*@/, '//').replace(/[?#].*$/, '');
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

/** `code` of a system or server error, '' when it has none. An AggregateError (several addresses tried) answers for its first. */
export function errorCode(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return errorCode(error.errors[0]);
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}

/** What was thrown, as an `Error`. */
export const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));

/** The text of anything thrown. */
export function errorText(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return errorText(error.errors[0]);
  return error instanceof Error ? error.message : String(error);
}

/** One lost server is the same news from every connection, at every try. */
const sameNewsMs = 10_000;

/** Passes each error on once, and the same words at most every 10 s: one lost connection reaches every BullMQ class that shares it. */
export function reportOnce(onError: (error: Error) => void): (error: Error) => void {
  const seen = new WeakSet<Error>();
  const saidAt = new Map<string, number>();
  return (error) => {
    if (seen.has(error)) return;
    seen.add(error);
    const now = Date.now();
    if (now - (saidAt.get(error.message) ?? Number.NEGATIVE_INFINITY) < sameNewsMs) return;
    if (saidAt.size > 100) saidAt.clear();
    saidAt.set(error.message, now);
    onError(error);
  };
}
