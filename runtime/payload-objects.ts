/**
 * Payloads too large to travel with their job: `payloads/<queue>/<id>.json` in the object store, and in the job a pointer
 * with length and hash. A pointer counts only for the job it is named after, so that no payload reaches another's.
 */
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import type { ObjectStore } from './object-store.ts';

/** What travels with a job. */
export const inlineLimitBytes = 262_144;
/** What may be kept beside it. */
export const offloadedLimitBytes = 10 * 1_048_576;

const prefix = 'payloads/';

export interface PayloadPointer {
  /** Key in the object store. */
  readonly $object: string;
  /** Of the JSON text, in hex. */
  readonly sha256: string;
  readonly bytes: number;
}

/** The object is not there, or not the one that was stored. */
export class PayloadLostError extends Error {
  override readonly name = 'PayloadLostError';
  readonly code = 'PAYLOAD_LOST';
}

function keyOf(queue: string, id: string): string {
  return `${prefix}${queue}/${id}.json`;
}

function describe(key: string, body: Uint8Array): PayloadPointer {
  return { $object: key, sha256: createHash('sha256').update(body).digest('hex'), bytes: body.byteLength };
}

/** The pointer in the stored data of this job; undefined for a payload that is its own. */
export function pointerOf(queue: string, id: string, data: unknown): PayloadPointer | undefined {
  if (typeof data !== 'object' || data === null || !('$object' in data)) return undefined;
  const { $object: key } = data;
  if (key !== keyOf(queue, id) || !('sha256' in data && 'bytes' in data)) return undefined;
  const { sha256, bytes } = data;
  return typeof sha256 === 'string' && typeof bytes === 'number' ? { $object: key, sha256, bytes } : undefined;
}

/**
 * Stores the JSON text of a payload before its job and answers the job's data. A repeat with the same id keeps what the
 * first call stored, as the store of jobs keeps the first payload.
 */
export async function storePayload(
  objects: ObjectStore,
  queue: string,
  id: string,
  json: string,
): Promise<PayloadPointer> {
  const key = keyOf(queue, id);
  const body = Buffer.from(json);
  const { stored } = await objects.put(key, body, { contentType: 'application/json', ifAbsent: true });
  if (stored) return describe(key, body);
  const first = await read(objects, key);
  return first === undefined ? storePayload(objects, queue, id, json) : describe(key, first);
}

/** The parsed payload. Throws `PayloadLostError`; anything else is the object store, which may answer later. */
export async function fetchPayload(
  objects: Pick<ObjectStore, 'get'>,
  pointer: PayloadPointer,
  signal?: AbortSignal,
): Promise<unknown> {
  const body = await read(objects, pointer.$object, signal);
  if (body === undefined) throw new PayloadLostError(`The payload ${pointer.$object} is not in the object store.`);
  const found = describe(pointer.$object, body);
  if (found.sha256 !== pointer.sha256 || found.bytes !== pointer.bytes)
    throw new PayloadLostError(
      `The payload ${pointer.$object} was altered: expected ${pointer.bytes} bytes with the hash of the job, got ${found.bytes}.`,
    );
  return JSON.parse(body.toString());
}

async function read(objects: Pick<ObjectStore, 'get'>, key: string, signal?: AbortSignal): Promise<Buffer | undefined> {
  const found = await objects.get(key, signal === undefined ? {} : { signal });
  if (found === undefined) return undefined;
  if (found.sizeBytes <= offloadedLimitBytes) return buffer(found.body);
  found.body.destroy();
  return Buffer.alloc(0); // Never stored by us: it fails the comparison, unread.
}

/** Whether the payload of this job is there. */
export async function hasPayload(objects: ObjectStore, queue: string, id: string): Promise<boolean> {
  return (await objects.head(keyOf(queue, id))) !== undefined;
}

export interface OffloadedPayload {
  readonly key: string;
  readonly queue: string;
  readonly id: string;
  readonly modifiedAt: Date;
}

/** Every payload kept in the object store. */
export async function* listPayloads(objects: ObjectStore): AsyncGenerator<OffloadedPayload> {
  for await (const { key, modifiedAt } of objects.list(prefix)) {
    const [, queue, id] = /^payloads\/([^/]+)\/([^/]+)\.json$/.exec(key) ?? [];
    if (queue !== undefined && id !== undefined) yield { key, queue, id, modifiedAt };
  }
}
