/** Removes payloads and results kept in the object store whose job is gone: completed and expired, cancelled, discarded, or never stored. */

import type { ObjectStore } from '../runtime/object-store.ts';
import { type KeptObject, listKept } from '../runtime/payload-objects.ts';
import type { Backend, Chore } from './backend.ts';

export interface PayloadSweepParts {
  readonly backend: Pick<Backend, 'now' | 'queue'>;
  readonly objects: ObjectStore;
  /** Payloads of other queues are left alone: another release may know them. */
  readonly queues: readonly string[];
  /** A payload is stored before its job: a young one may still be waiting for it. Default 15 minutes. */
  readonly graceMs?: number;
}

const graceMs = 15 * 60_000;
const atOnce = 50;

/** Every five minutes; one look at the store of jobs per payload. */
export function payloadSweep(parts: PayloadSweepParts): Chore {
  const queues = new Set(parts.queues);
  return {
    name: 'payloads without a job',
    everyMs: 5 * 60_000,
    async run(signal) {
      const bornBefore = (await parts.backend.now()) - (parts.graceMs ?? graceMs);
      let group: KeptObject[] = [];
      for await (const payload of listKept(parts.objects)) {
        if (signal.aborted) return;
        if (queues.has(payload.queue) && payload.modifiedAt.getTime() <= bornBefore) group.push(payload);
        if (group.length < atOnce) continue;
        await removeOrphans(group, parts);
        group = [];
      }
      await removeOrphans(group, parts);
    },
  };
}

async function removeOrphans(group: readonly KeptObject[], { backend, objects }: PayloadSweepParts): Promise<void> {
  await Promise.all(
    group.map(async ({ key, queue, id }) => {
      const job: unknown = await backend.queue(queue).getJob(id);
      if (job === undefined) await objects.delete(key);
    }),
  );
}
