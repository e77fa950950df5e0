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
export const resultPrefix = 'results/';

/** What stands in the job instead of a payload or a result that is kept in the object store. */
export interface KeptPointer {
  /** Key in the object store. */
  readonly $object: string;
  /** Of the JSON text, in hex. */
  readonly sha256: string;
  readonly bytes: number;
}

/** The object is not there, or not the one that was stored. */
export class KeptLostError extends Error {
  override readonly name = 'KeptLostError';
}

function keyOf(queue: string, id: string): string {
  return `${prefix}${queue}/${id}.json`;
}

export function pointerTo(key: string, body: Uint8Array): KeptPointer {
  return { $object: key, sha256: createHash('sha256').update(body).digest('hex'), bytes: body.byteLength };
}

/** Undefined for what is no pointer. */
export function readPointer(value: unknown): KeptPointer | undefined {
  if (typeof value !== 'object' || value === null || !('$object' in value)) return undefined;
  if (!('sha256' in value && 'bytes' in value)) return undefined;
  const { $object, sha256, bytes } = value;
  const isPointer = typeof $object === 'string' && typeof sha256 === 'string' && typeof bytes === 'number';
  return isPointer ? { $object, sha256, bytes } : undefined;
}

/** The pointer in the stored data of this job; undefined for a payload that is its own. */
export function pointerOf(queue: string, id: string, data: unknown): KeptPointer | undefined {
  const pointer = readPointer(data);
  return pointer?.$object === keyOf(queue, id) ? pointer : undefined;
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
): Promise<KeptPointer> {
  const key = keyOf(queue, id);
  const body = Buffer.from(json);
  const { stored } = await objects.put(key, body, { contentType: 'application/json', ifAbsent: true });
  if (stored) return pointerTo(key, body);
  const first = await read(objects, key);
  return first === undefined ? storePayload(objects, queue, id, json) : pointerTo(key, first);
}

/** What the pointer stands for, parsed. Throws `KeptLostError`; anything else is the object store, which may answer later. */
export async function fetchKept(
  objects: Pick<ObjectStore, 'get'>,
  pointer: KeptPointer,
  signal?: AbortSignal,
): Promise<unknown> {
  const body = await read(objects, pointer.$object, signal);
  if (body === undefined) throw new KeptLostError(`${pointer.$object} is not in the object store.`);
  const found = pointerTo(pointer.$object, body);
  if (found.sha256 !== pointer.sha256 || found.bytes !== pointer.bytes)
    throw new KeptLostError(
      `${pointer.$object} was altered: expected ${pointer.bytes} bytes with the hash of the job, got ${found.bytes}.`,
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

export interface KeptObject {
  readonly key: string;
  readonly queue: string;
  readonly id: string;
  readonly modifiedAt: Date;
}

const kept = /^(?:payloads\/([^/]+)\/([^/]+)|results\/([^/]+)\/([^/]+)\/\d+)\.json$/;

/** Every payload and result kept in the object store, with the job it belongs to. */
export async function* listKept(objects: ObjectStore): AsyncGenerator<KeptObject> {
  for (const folder of [prefix, resultPrefix])
    for await (const { key, modifiedAt } of objects.list(folder)) {
      const [, ofPayload, payload, queue = ofPayload, id = payload] = kept.exec(key) ?? [];
      if (queue !== undefined && id !== undefined) yield { key, queue, id, modifiedAt };
    }
}
