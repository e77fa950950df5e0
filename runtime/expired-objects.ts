/** Objects that nobody needs for ever: the keeper deletes those that are older than their kind is kept. */
import type { ObjectStore } from './object-store.ts';

/** Days by the folder of a tenant: `t/<tenant>/<folder>/…`. What is written again begins anew. */
export interface KeptDays {
  readonly exports: number;
  /** Texts that document-ocr wrote because they are too long for a result. */
  readonly ocr: number;
  readonly uploads: number;
}

/** As results say: `expiresAt` of an export. */
export const exportDays = 7;
const dayMs = 86_400_000;

/** Looks only into these folders of every tenant; how many objects were deleted. `now`: epoch ms, by a clock that can be trusted. */
export async function deleteExpiredObjects(
  objects: Pick<ObjectStore, 'delete' | 'folders' | 'list'>,
  kept: KeptDays,
  signal: AbortSignal,
  now: number,
): Promise<number> {
  let deleted = 0;
  for await (const tenant of objects.folders('t/'))
    for (const [folder, days] of Object.entries(kept))
      for await (const { key, modifiedAt } of objects.list(`t/${tenant}/${folder}/`)) {
        signal.throwIfAborted();
        if (now - modifiedAt.getTime() < days * dayMs) continue;
        await objects.delete(key);
        deleted += 1;
      }
  return deleted;
}
