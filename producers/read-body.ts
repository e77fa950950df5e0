/** Reads request bodies: at most 256 KiB (4 MiB for a batch), all of it within eight seconds, uncompressed JSON. */

import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ProducerError } from './errors.ts';
import { readStrictJson } from './strict-json.ts';

export const bodyLimitBytes = 262_144;
const bodyDeadlineMs = 8_000;

/** How much a body may hold. */
export interface BodyLimits {
  readonly bytes: number;
  /** Keys and elements. */
  readonly keys: number;
}

const ordinary: BodyLimits = { bytes: bodyLimitBytes, keys: 1_000 };
/** A thousand small jobs, or some large ones. */
export const batchBody: BodyLimits = { bytes: 4 * 1_048_576, keys: 50_000 };

/** Replaces Fastify's parsers in this scope: JSON is read strictly, everything else is 415. */
export function readBodiesStrictly(app: FastifyInstance, limits: BodyLimits = ordinary): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', async (request: FastifyRequest, payload: Readable) => {
    refuseEncodings(request);
    const announced = Number(request.headers['content-length'] ?? 0);
    return readStrictJson(await readAll(payload, announced, limits.bytes), limits.keys);
  });
}

function refuseEncodings(request: FastifyRequest): void {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new ProducerError('UNSUPPORTED_MEDIA_TYPE', 'Send the body uncompressed.');
  }
  const charset = /;\s*charset\s*=\s*"?([^;"\s]+)/i.exec(request.headers['content-type'] ?? '')?.[1];
  if (charset !== undefined && charset.toLowerCase() !== 'utf-8') {
    throw new ProducerError('UNSUPPORTED_MEDIA_TYPE', 'JSON is UTF-8; leave the charset out.');
  }
}

/** Throws `TOO_LARGE`, `TIMEOUT`, or `MALFORMED` when the sender goes away. `announced`: the Content-Length, 0 without one. */
export function readAll(payload: Readable, announced: number, limitBytes: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (done: () => void): void => {
      clearTimeout(timer);
      payload.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone);
      payload.pause();
      done();
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      chunks.push(chunk);
      if (size > limitBytes) settle(() => reject(tooLarge(limitBytes)));
    };
    const onEnd = (): void => settle(() => resolve(Buffer.concat(chunks)));
    const onGone = (): void =>
      settle(() => reject(new ProducerError('MALFORMED', 'The body ended before its announced length.')));
    const timer = setTimeout(
      () => settle(() => reject(new ProducerError('TIMEOUT', `The body took longer than ${bodyDeadlineMs} ms.`))),
      bodyDeadlineMs,
    );
    payload.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone);
    if (announced > limitBytes) settle(() => reject(tooLarge(limitBytes)));
  });
}

function tooLarge(limitBytes: number): ProducerError {
  return new ProducerError(
    'TOO_LARGE',
    `The body is larger than ${limitBytes} bytes; upload large inputs with POST /v1/uploads.`,
  );
}
