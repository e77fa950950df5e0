/** What became of the children of a flow, for the handler of their parent. */
import type { Job as StoredJob } from 'bullmq';
import { childrenOf } from '../../backends/flows.ts';
import { readFailure } from '../../backends/signature.ts';
import type { ChildJob } from '../../jobs/ports.ts';

/** All have ended: a parent runs after them. */
export async function readChildJobs(parent: StoredJob): Promise<ChildJob[]> {
  return (await childrenOf(parent)).map(({ id, queue, state, result, reason }) =>
    state === 'completed'
      ? { id, type: queue, state, result: result ?? null }
      : { id, type: queue, state: 'failed', code: readFailure(reason).code },
  );
}
