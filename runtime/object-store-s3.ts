/**
 * Objects in an S3 bucket, under a prefix that is ours. Bodies of unknown length go up in parts of 8 MiB, at most two
 * of them in memory; one that fits into a part is a single request. Only `open-object-store.ts` imports this file, and
 * only for an `s3:` address: the client weighs 30 MB.
 */
import { addAbortSignal, Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  NoSuchKey,
  NotFound,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { limitBytes } from './limit-bytes.ts';
import {
  checkKey,
  checkPrefix,
  type ObjectHead,
  ObjectRangeError,
  type ObjectStore,
  ObjectTooLargeError,
} from './object-store.ts';

const partBytes = 8 * 1_048_576;
const longestLinkMs = 7 * 24 * 3_600_000;
/** The SDK waits for ever by default. */
const timeouts = { connectionTimeout: 5_000, socketTimeout: 60_000 };
const unknownType = 'application/octet-stream';

export interface S3Place {
  readonly bucket: string;
  /** Empty, or ends with a slash. */
  readonly prefix: string;
  /** Region, endpoint and credentials; what is left out comes from the environment as for every AWS program. */
  readonly client: S3ClientConfig;
}

const statusOf = (error: unknown): number | undefined =>
  error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;

const isAbsent = (error: unknown): boolean => error instanceof NoSuchKey || error instanceof NotFound;

/** 412: the object is there. 409: another conditional write of the same key is being decided. */
const isConflict = (error: unknown): boolean => statusOf(error) === 412 || statusOf(error) === 409;

/** A header value without quotes, control characters or anything that is not ASCII. */
const fileNameIn = (filename: string): string => filename.replaceAll(/[^\x20-\x7E]|["\\%]/g, '_').slice(0, 150);

interface Described {
  readonly ContentLength?: number | undefined;
  readonly ContentRange?: string | undefined;
  readonly ContentType?: string | undefined;
  readonly LastModified?: Date | undefined;
}

function describe(key: string, answer: Described): ObjectHead {
  const whole = /\/(\d+)$/.exec(answer.ContentRange ?? '')?.[1];
  return {
    key,
    sizeBytes: whole === undefined ? (answer.ContentLength ?? 0) : Number(whole),
    contentType: answer.ContentType ?? unknownType,
    modifiedAt: answer.LastModified ?? new Date(0),
  };
}

/** Opens the store; no request is made before the first use. */
export function openS3Store({ bucket, prefix, client: config }: S3Place): ObjectStore {
  const client = new S3Client({ maxAttempts: 4, requestHandler: timeouts, ...config });
  const at = (key: string): { readonly Bucket: string; readonly Key: string } => ({
    Bucket: bucket,
    Key: prefix + checkKey(key),
  });

  const head = async (key: string): Promise<ObjectHead | undefined> => {
    try {
      return describe(key, await client.send(new HeadObjectCommand(at(key))));
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  };

  const putBytes = async (
    key: string,
    body: Uint8Array,
    options: Parameters<ObjectStore['put']>[2],
  ): Promise<number> => {
    const condition = options.ifAbsent === true ? { IfNoneMatch: '*' } : {};
    const command = new PutObjectCommand({ ...at(key), Body: body, ContentType: options.contentType, ...condition });
    await client.send(command, options.signal === undefined ? {} : { abortSignal: options.signal });
    return body.byteLength;
  };

  const putStream = async (
    key: string,
    body: Readable,
    options: Parameters<ObjectStore['put']>[2],
  ): Promise<number> => {
    let sizeBytes = 0;
    const limited = limitBytes(options.maxBytes ?? Number.POSITIVE_INFINITY, (seenBytes) => {
      sizeBytes = seenBytes;
    });
    // An abort breaks the body instead of calling Upload.abort(): that answers at once and leaves the clean-up of the
    // parts to the background, where a process that ends right away loses it.
    if (options.signal !== undefined) addAbortSignal(options.signal, body);
    const condition = options.ifAbsent === true ? { IfNoneMatch: '*' } : {};
    try {
      const upload = new Upload({
        client,
        partSize: partBytes,
        queueSize: 2,
        params: { ...at(key), Body: Readable.from(limited(body)), ContentType: options.contentType, ...condition },
      });
      await upload.done();
      return sizeBytes;
    } catch (error) {
      throw options.signal?.aborted === true ? options.signal.reason : error;
    } finally {
      body.destroy();
    }
  };

  return {
    kind: 's3',
    async put(key, body, options) {
      const existing = options.ifAbsent === true && body instanceof Readable ? await head(key) : undefined;
      if (existing !== undefined) {
        if (body instanceof Readable) body.destroy();
        return { stored: false, sizeBytes: existing.sizeBytes };
      }
      if (!(body instanceof Readable) && body.byteLength > (options.maxBytes ?? Number.POSITIVE_INFINITY)) {
        throw new ObjectTooLargeError(`expected at most ${options.maxBytes} bytes, got ${body.byteLength}`);
      }
      try {
        const sizeBytes = await (body instanceof Readable
          ? putStream(key, body, options)
          : putBytes(key, body, options));
        return { stored: true, sizeBytes };
      } catch (error) {
        if (options.ifAbsent !== true || !isConflict(error)) throw error;
        const winner = await head(key);
        if (winner === undefined) throw error;
        return { stored: false, sizeBytes: winner.sizeBytes };
      }
    },
    async get(key, options = {}) {
      const { range, signal } = options;
      const bytes = range === undefined ? {} : { Range: `bytes=${range.start}-${range.end ?? ''}` };
      try {
        const command = new GetObjectCommand({ ...at(key), ...bytes });
        const answer = await client.send(command, signal === undefined ? {} : { abortSignal: signal });
        if (!(answer.Body instanceof Readable)) throw new Error(`expected a body for ${key}, got none`);
        // As for the folder: an abort before anybody reads must not end the process.
        answer.Body.on('error', () => undefined);
        return { ...describe(key, answer), body: answer.Body };
      } catch (error) {
        if (isAbsent(error)) return undefined;
        if (statusOf(error) !== 416) throw error;
        throw new ObjectRangeError(`${key} ends before byte ${range?.start}`, { cause: error });
      }
    },
    head,
    async *list(under) {
      const inBucket = prefix + checkPrefix(under);
      let next: string | undefined;
      do {
        const from = next === undefined ? {} : { ContinuationToken: next };
        const page = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: inBucket, ...from }));
        for (const entry of page.Contents ?? []) {
          // A listing has no content types; whoever needs one asks head().
          const key = (entry.Key ?? '').slice(prefix.length);
          yield describe(key, { ContentLength: entry.Size, LastModified: entry.LastModified });
        }
        next = page.NextContinuationToken;
      } while (next !== undefined);
    },
    async *folders(under) {
      const inBucket = prefix + checkPrefix(under);
      const wanted = { Bucket: bucket, Prefix: inBucket, Delimiter: '/' };
      let next: string | undefined;
      do {
        const from = next === undefined ? {} : { ContinuationToken: next };
        const page = await client.send(new ListObjectsV2Command({ ...wanted, ...from }));
        for (const one of page.CommonPrefixes ?? []) yield (one.Prefix ?? '').slice(inBucket.length, -1);
        next = page.NextContinuationToken;
      } while (next !== undefined);
    },
    async delete(key) {
      await client.send(new DeleteObjectCommand(at(key)));
    },
    async presign(request) {
      const expiresIn = Math.max(1, Math.floor(Math.min(request.ttlMs, longestLinkMs) / 1_000));
      if (request.method === 'GET') {
        const name = request.filename;
        const shown =
          name === undefined ? {} : { ResponseContentDisposition: `attachment; filename="${fileNameIn(name)}"` };
        const url = await getSignedUrl(client, new GetObjectCommand({ ...at(request.key), ...shown }), { expiresIn });
        return { method: 'GET', url, headers: {} };
      }
      const { contentType, sizeBytes } = request;
      const command = new PutObjectCommand({
        ...at(request.key),
        ContentType: contentType,
        ContentLength: sizeBytes,
        IfNoneMatch: '*',
      });
      // All headers are part of the signature, so a link for a small picture carries no large program, and no second file
      // after the first, which may have been read already.
      const signableHeaders = new Set(['content-type', 'content-length', 'host', 'if-none-match']);
      const url = await getSignedUrl(client, command, { expiresIn, signableHeaders });
      const headers = { 'content-type': contentType, 'content-length': String(sizeBytes), 'if-none-match': '*' };
      return { method: 'PUT', url, headers };
    },
    async ping() {
      try {
        await client.send(new HeadBucketCommand({ Bucket: bucket }));
      } catch (error) {
        const cause = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
        throw new Error(
          `The bucket ${bucket} cannot be reached (${cause}). Check STORAGE_URL, AWS_REGION, AWS_ENDPOINT_URL_S3 and the credentials.`,
          { cause: error },
        );
      }
    },
    async close() {
      client.destroy();
    },
  };
}
