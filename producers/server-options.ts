/** How a Fastify server of ours is set up, for every process that carries the API. */
import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import { type FastifyHttpOptions, LogController } from 'fastify';
import type { Log } from '../runtime/log.ts';
import { answerClientError, sendProblem } from './http-errors.ts';
import { bodyLimitBytes } from './read-body.ts';

/** An upload of 5 GiB over a slow line; JSON bodies have a deadline of their own (read-body.ts). */
const requestTimeoutMs = 3_600_000;

/**
 * Headers within 3 s, idle connections closed after a minute, at most 10,000 requests a connection, 16 KiB of headers.
 * A caller's X-Request-Id is taken over when it is a plain token.
 */
export function serverOptions(log?: Log) {
  return {
    ...(log === undefined ? {} : { loggerInstance: log }),
    bodyLimit: bodyLimitBytes,
    clientErrorHandler: answerClientError,
    connectionTimeout: 60_000,
    forceCloseConnections: 'idle',
    frameworkErrors: (error, request, reply) => void sendProblem(error, request, reply),
    genReqId: (request) => {
      const given = request.headers['x-request-id'];
      return typeof given === 'string' && /^[A-Za-z0-9._-]{1,128}$/.test(given) ? given : randomUUID();
    },
    http: {
      connectionsCheckingInterval: 1_000,
      headersTimeout: 3_000,
      insecureHTTPParser: false,
      maxHeaderSize: 16_384,
      // Node's own answer would have no body; login.ts refuses with a problem.
      requireHostHeader: false,
    },
    keepAliveTimeout: 10_000,
    // Requests are counted and measured (/metrics), not logged one by one.
    logController: new LogController({ disableRequestLogging: true }),
    maxRequestsPerSocket: 10_000,
    requestIdHeader: false,
    requestTimeout: requestTimeoutMs,
    // Signed links carry their token in the path.
    routerOptions: { maxParamLength: 2_048 },
  } satisfies FastifyHttpOptions<Server, Log>;
}
