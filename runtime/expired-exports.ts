/** Files of exports are kept for seven days: the keeper deletes older ones. */
import type { ObjectStore } from './object-store.ts';

const keptMs = 7 * 86_400_000;
const isExport = /^t\/[^/]+\/exports\//;

/** Looks through the objects of all tenants; how many were deleted. `now`: epoch ms, by a clock that can be trusted. */
export async function deleteExpiredExports(
  objects: Pick<ObjectStore, 'delete' | 'list'>,
  signal: AbortSignal,
  now: number,
): Promise<number> {
  let deleted = 0;
  for await (const { key, modifiedAt } of objects.list('t/')) {
    signal.throwIfAborted();
    if (!isExport.test(key) || now - modifiedAt.getTime() < keptMs) continue;
    await objects.delete(key);
    deleted += 1;
  }
  return deleted;
}
