/** What became of the children of a flow, for the handler of their parent. */
import type { Job as StoredJob } from 'bullmq';
import { childrenOf } from '../../backends/flows.ts';
import { readFailure } from '../../backends/signature.ts';
import { giveUp } from '../../jobs/errors.ts';
import type { ChildJob } from '../../jobs/ports.ts';
import type { ObjectStore } from '../../runtime/object-store.ts';
import { KeptLostError } from '../../runtime/payload-objects.ts';
import { readResult } from '../../runtime/result-objects.ts';

/** All have ended: a parent runs after them. Throws `RESULT_LOST` (dead) where a large result is not what was stored. */
export async function readChildJobs(parent: StoredJob, objects: Pick<ObjectStore, 'get'>): Promise<ChildJob[]> {
  return Promise.all(
    (await childrenOf(parent)).map(
      async ({ id, queue, state, result, reason }): Promise<ChildJob> =>
        state === 'completed'
          ? { id, type: queue, state, result: await readOne(objects, queue, id, result) }
          : { id, type: queue, state: 'failed', code: readFailure(reason).code },
    ),
  );
}

async function readOne(...of: Parameters<typeof readResult>): Promise<unknown> {
  try {
    return (await readResult(...of)) ?? null;
  } catch (error) {
    if (!(error instanceof KeptLostError)) throw error;
    throw giveUp('RESULT_LOST', `The result ${error.message}`, { cause: error });
  }
}
