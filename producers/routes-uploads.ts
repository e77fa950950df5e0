/**
 * Inputs and results as bytes. `POST /v1/uploads` hands out a signed PUT: straight to S3, or to our own route, which
 * streams into the folder store. `GET /v1/objects/…` serves what a signed link names, with ranges; on S3 it redirects,
 * except for playlists, whose relative addresses must resolve against us.
 */
import { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ObjectRangeError, type ObjectStore, ObjectTooLargeError } from '../runtime/object-store.ts';
import { ProducerError } from './errors.ts';
import { createIds } from './ids.ts';
import { parseRange } from './range.ts';
import { type Answer, defineRoute, noBody, notFound, nothing, type Route } from './route.ts';
import { isPlaylist, type SignedLinks, type UploadGrant } from './signed-links.ts';

export interface UploadRouteParts {
  readonly objects: ObjectStore;
  readonly links: SignedLinks;
  /** Largest upload in bytes. */
  readonly maxBytes: number;
}

const slotTtlMs = 3_600_000;
const redirectTtlMs = 900_000;
const typeRule = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,60}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,60}$/;

export function uploadRoutes(parts: UploadRouteParts): Route[] {
  return [slotRoute(parts), putRoute(parts), objectRoute(parts)];
}
const slotAnswer = z.object({
  object: z.string(),
  upload: z.object({ method: z.literal('PUT'), url: z.string(), headers: z.record(z.string(), z.string()) }),
  expiresAt: z.string(),
});

function slotRoute({ objects, links, maxBytes }: UploadRouteParts): Route {
  const newId = createIds();
  return defineRoute({
    method: 'POST',
    path: '/v1/uploads',
    operationId: 'createUpload',
    summary: 'A place for one file: PUT the bytes to `upload.url`, then name `object` in a payload.',
    tag: 'objects',
    scope: 'jobs',
    params: nothing,
    query: nothing,
    body: z.strictObject({
      filename: z.string().min(1).max(255),
      contentType: z
        .string()
        .regex(typeRule, 'expected a media type such as video/mp4, in lower case, without parameters'),
      sizeBytes: z.int().min(1).max(maxBytes),
    }),
    answers: {
      201: {
        description: 'The place; it can be filled once, until `expiresAt`.',
        schema: slotAnswer,
      },
    },
    handle: async ({ body: { filename, contentType, sizeBytes }, credential, baseUrl }) => {
      const key = `t/${credential.tenant}/uploads/${newId('u').slice(2)}/${safeName(filename)}`;
      const direct = await objects.presign({ method: 'PUT', key, ttlMs: slotTtlMs, contentType, sizeBytes });
      const upload = direct ?? {
        method: 'PUT',
        url: baseUrl + links.write({ key, contentType, sizeBytes }, slotTtlMs),
        headers: { 'content-type': contentType },
      };
      const expiresAt = new Date(Date.now() + slotTtlMs).toISOString();
      return { status: 201, body: { object: `object:${key}`, upload, expiresAt } };
    },
  });
}

/** The name is for people who look into the store; its ending helps players. Everything a key may not hold becomes `_`. */
function safeName(filename: string): string {
  const name = filename.replaceAll(/[^A-Za-z0-9._-]+/g, '_').slice(-100);
  return /^[._-]*$/.test(name) ? 'file' : name;
}

function putRoute({ objects, links }: UploadRouteParts): Route {
  return defineRoute({
    method: 'PUT',
    path: '/v1/uploads/{token}',
    operationId: 'putUpload',
    summary:
      'The bytes of an upload, with the content type and size that were announced. Needs no key: the address is signed.',
    tag: 'objects',
    scope: 'none',
    rawBody: true,
    params: z.object({ token: z.string().max(2_048) }),
    query: nothing,
    body: noBody,
    answers: {
      201: { description: 'Stored.', schema: z.object({ object: z.string(), sizeBytes: z.int() }) },
      409: { description: 'The place is filled already.' },
    },
    handle: async ({ params, request }) => {
      const grant = links.writable(params.token);
      if (grant === undefined) throw notFound();
      refuseOtherFile(request, grant);
      // Before a gigabyte is read in vain; `ifAbsent` below is what decides.
      if ((await objects.head(grant.key)) !== undefined) throw filled();
      const { stored, sizeBytes } = await storeBody(objects, request, grant);
      if (!stored) throw filled();
      if (sizeBytes < grant.sizeBytes) {
        await objects.delete(grant.key);
        throw wrongSize(grant.sizeBytes);
      }
      return { status: 201, body: { object: `object:${grant.key}`, sizeBytes } };
    },
  });
}

function filled(): ProducerError {
  return new ProducerError('CONFLICT', 'This place is filled already; ask for a new one.');
}

function wrongSize(expected: number, code: 'INVALID' | 'TOO_LARGE' = 'INVALID'): ProducerError {
  return new ProducerError(
    code,
    `Expected ${expected} bytes, as announced, got ${code === 'INVALID' ? 'less' : 'more'}.`,
  );
}

/** Before the first byte is read. */
function refuseOtherFile(request: FastifyRequest, grant: UploadGrant): void {
  const { 'content-type': type, 'content-length': length } = request.headers;
  if (type?.toLowerCase() !== grant.contentType) {
    throw new ProducerError('UNSUPPORTED_MEDIA_TYPE', `Expected content-type ${grant.contentType}, as announced.`);
  }
  if (length !== undefined && Number(length) > grant.sizeBytes) throw wrongSize(grant.sizeBytes, 'TOO_LARGE');
  if (length !== undefined && Number(length) < grant.sizeBytes) throw wrongSize(grant.sizeBytes);
}

async function storeBody(objects: ObjectStore, request: FastifyRequest, grant: UploadGrant) {
  try {
    // The store may stop reading early; the connection has to live on for the answer.
    const body = Readable.from(request.raw.iterator({ destroyOnReturn: false }), { objectMode: false });
    return await objects.put(grant.key, body, {
      contentType: grant.contentType,
      ifAbsent: true,
      maxBytes: grant.sizeBytes,
    });
  } catch (error) {
    if (error instanceof ObjectTooLargeError) throw wrongSize(grant.sizeBytes, 'TOO_LARGE');
    if (request.raw.destroyed && !request.raw.complete) {
      throw new ProducerError('MALFORMED', 'The upload broke off; nothing was stored.', [], { cause: error });
    }
    throw error;
  }
}

function objectRoute({ objects, links }: UploadRouteParts): Route {
  return defineRoute({
    method: 'GET',
    path: '/v1/objects/{token}/{path*}',
    operationId: 'getObject',
    summary:
      'The bytes a signed link names, whole or in ranges. A link to a playlist also opens what lies beside and below it.',
    tag: 'objects',
    scope: 'none',
    params: z.object({ token: z.string().max(2_048), '*': z.string().max(1_024) }),
    query: nothing,
    body: noBody,
    requestHeaders: { range: 'One range of bytes.' },
    answers: {
      200: { description: 'The whole object.' },
      206: { description: 'The range asked for.' },
      302: { description: 'The object is read from S3.' },
    },
    handle: async ({ params, request }) => {
      const key = links.readable(params.token, params['*']);
      if (key === undefined) throw notFound();
      if (!isPlaylist(key)) {
        const direct = await objects.presign({ method: 'GET', key, ttlMs: redirectTtlMs });
        if (direct !== undefined) return { status: 302, headers: { ...openHeaders, location: direct.url } };
      }
      return serve(objects, key, request.headers.range);
    },
  });
}

/** The token is the permission: players on any site may use a link they were given, and nothing in an object may run as ours. */
const openHeaders = {
  'access-control-allow-origin': '*',
  'cache-control': 'private, max-age=3600',
  'content-security-policy': "default-src 'none'; sandbox",
  'cross-origin-resource-policy': 'cross-origin',
  'x-content-type-options': 'nosniff',
} as const;

const inline = /^(?:video|audio)\/|^image\/(?!svg)|^application\/(?:vnd\.apple\.mpegurl|dash\+xml)$/;

async function serve(objects: ObjectStore, key: string, header: string | undefined): Promise<Answer> {
  const head = header === undefined ? undefined : await objects.head(key);
  const range = head === undefined ? undefined : parseRange(header, head.sizeBytes);
  if (range === 'unsatisfiable') throw unsatisfiable(head?.sizeBytes);
  const found = await objects.get(key, range === undefined ? {} : { range }).catch((error: unknown) => {
    if (error instanceof ObjectRangeError) throw unsatisfiable(head?.sizeBytes);
    throw error;
  });
  if (found === undefined) throw notFound();
  const name = key.slice(key.lastIndexOf('/') + 1);
  const headers: Record<string, string> = {
    ...openHeaders,
    'accept-ranges': 'bytes',
    'content-type': found.contentType,
    'content-disposition': inline.test(found.contentType) ? 'inline' : `attachment; filename="${name}"`,
    'content-length': String(range === undefined ? found.sizeBytes : range.end - range.start + 1),
    'last-modified': found.modifiedAt.toUTCString(),
    ...(range === undefined ? {} : { 'content-range': `bytes ${range.start}-${range.end}/${found.sizeBytes}` }),
  };
  return { status: range === undefined ? 200 : 206, headers, body: found.body };
}

function unsatisfiable(sizeBytes = 0): ProducerError {
  return new ProducerError('RANGE', `The object has ${sizeBytes} bytes; the range starts behind its end.`);
}
