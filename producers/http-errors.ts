/** Every error of the HTTP layer as problem+json: ours, Fastify's, Node's, and what nobody foresaw. */
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { BackendError } from '../backends/unreachable.ts';
import { LimitedError, type ProducerCode, ProducerError } from './errors.ts';
import { problemOf, problemType } from './problem.ts';
import { rateHeaders } from './rate-headers.ts';

const byFastifyCode: Readonly<Record<string, readonly [ProducerCode, string]>> = {
  FST_ERR_BAD_URL: ['MALFORMED', 'The address is not percent-encoded UTF-8.'],
  FST_ERR_CTP_BODY_TOO_LARGE: ['TOO_LARGE', 'The body is larger than 256 KiB.'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['MALFORMED', 'The body is not as long as Content-Length says.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['UNSUPPORTED_MEDIA_TYPE', 'Send the body as application/json.'],
  FST_ERR_MAX_PARAM_LENGTH: ['NOT_FOUND', 'There is nothing here for you.'],
  FST_ERR_ROUTE_METHOD_NOT_SUPPORTED: ['METHOD_NOT_ALLOWED', 'The method is not supported.'],
};

const byStatus: Readonly<Record<number, ProducerCode>> = {
  400: 'MALFORMED',
  404: 'NOT_FOUND',
  408: 'TIMEOUT',
  413: 'TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA_TYPE',
  429: 'LIMITED',
};

/** The driver's words for a store that does not answer. */
const outages = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'ETIMEDOUT',
  'EPIPE',
  '57P01',
  '57P03',
  '53300',
  'CONNECTION_ENDED',
]);

const fieldOf = (error: unknown, name: 'code' | 'statusCode'): unknown =>
  typeof error === 'object' && error !== null && name in error ? Reflect.get(error, name) : undefined;

/** What a caller may hear of an error. Unknown ones become `INTERNAL` without their message. */
function toProducerError(error: unknown): ProducerError {
  if (error instanceof ProducerError) return error;
  const given = fieldOf(error, 'code');
  const code = typeof given === 'string' ? given : '';
  const known = byFastifyCode[code];
  if (known !== undefined) return new ProducerError(known[0], known[1]);
  const status = fieldOf(error, 'statusCode');
  const mapped = typeof status === 'number' ? byStatus[status] : undefined;
  if (mapped !== undefined && code.startsWith('FST_')) return new ProducerError(mapped, 'The request was refused.');
  if (error instanceof BackendError || outages.has(code)) {
    return new ProducerError('UNAVAILABLE', 'The store does not answer; nothing is known to be stored.', [], {
      cause: error,
    });
  }
  return new ProducerError('INTERNAL', 'Something failed on our side; the log has this request id.', [], {
    cause: error,
  });
}

const challenge = 'Bearer realm="jobfleet"';

/** Fastify's error handler of the API. */
export async function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const known = toProducerError(error);
  const problem = problemOf(known, request.id);
  if (problem.status >= 500 && !(known instanceof LimitedError))
    request.log.error({ err: error, requestId: request.id, code: problem.code }, 'request failed');
  if (problem.status === 401) reply.header('www-authenticate', challenge);
  if (known instanceof LimitedError) {
    reply.header('retry-after', String(Math.max(1, Math.ceil(known.retryAfterMs / 1_000))));
    reply.headers(rateHeaders(known.rate));
  } else if (problem.status === 503) reply.header('retry-after', '5');
  // What is left of a refused body is not worth reading.
  if (!request.raw.complete) reply.header('connection', 'close');
  reply.header('x-request-id', request.id).header('cache-control', 'no-store');
  await reply.code(problem.status).type(problemType).send(JSON.stringify(problem));
}

const byNodeCode: Readonly<Record<string, readonly [number, string, ProducerCode]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'TIMEOUT'],
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'MALFORMED'],
};

/** For requests that never became one: bad syntax, slow or huge headers. The connection is closed. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, reason, code] = byNodeCode[error.code ?? ''] ?? [400, 'Bad Request', 'MALFORMED'];
  const body = JSON.stringify({
    ...problemOf(new ProducerError(code, 'The request is not HTTP as RFC 9112 writes it, or too slow.'), '-'),
    status,
  });
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\ncontent-type: ${problemType}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
