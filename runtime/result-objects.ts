/**
 * Results too large to stay in their job: `results/<queue>/<id>/<fence>.json` in the object store, and in the job a
 * pointer. One object a claim, so that a run that lost its lease overwrites nothing of its successor.
 */

import type { ObjectStore } from './object-store.ts';
import { fetchKept, type KeptPointer, pointerTo, readPointer, resultPrefix } from './payload-objects.ts';

/** The claim whose result it is. */
export interface ResultOwner {
  readonly queue: string;
  readonly id: string;
  readonly fence: number;
}

/** Stores the JSON text of a result and answers what stands in the job instead. */
export async function storeResult(
  objects: Pick<ObjectStore, 'put'>,
  { queue, id, fence }: ResultOwner,
  json: string,
): Promise<KeptPointer> {
  const key = `${resultPrefix}${queue}/${id}/${fence}.json`;
  const body = Buffer.from(json);
  await objects.put(key, body, { contentType: 'application/json' });
  return pointerTo(key, body);
}

/** The result of a completed job, wherever it is kept. Throws `KeptLostError`; anything else is the object store. */
export async function readResult(
  objects: Pick<ObjectStore, 'get'>,
  queue: string,
  id: string,
  result: unknown,
): Promise<unknown> {
  const pointer = readPointer(result);
  const isOwn = pointer?.$object.startsWith(`${resultPrefix}${queue}/${id}/`) === true;
  return isOwn ? fetchKept(objects, pointer) : result;
}
