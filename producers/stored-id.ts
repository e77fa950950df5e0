/** The stored job behind an id of the outside. They are equal, except for the runs of schedules (`backends/slot-id.ts`). */
import type { Backend } from '../backends/backend.ts';
import { cancelKey } from '../backends/cancel-record.ts';
import { readSlotId, slotJobId, tickJobId } from '../backends/slot-id.ts';
import { readId } from './ids.ts';

/** The job type an id names; undefined when the id is none of ours. */
export function typeOf(id: string): string | undefined {
  return readId(id)?.type ?? readSlotId(id)?.type;
}

/** Every id under which the job may be stored. */
export function storedIds(id: string): readonly string[] {
  const run = readSlotId(id);
  return run === undefined ? [id] : [tickJobId(run.type, run.slot), slotJobId(run.type, run.slot)];
}

/** A slot may have two jobs, of which one ended as a duplicate: the other one is meant. */
export async function storedId(
  backend: Pick<Backend, 'queue' | 'records'>,
  queue: string,
  id: string,
): Promise<string> {
  const ids = storedIds(id);
  const [first = id] = ids;
  if (ids.length === 1) return first;
  const jobs = await Promise.all(ids.map((one) => backend.queue(queue).getJob(one)));
  const run = ids.find((_, place) => jobs[place] !== undefined && !isDuplicate(jobs[place].returnvalue));
  if (run !== undefined) return run;
  const cancelled = await backend.records.get(ids.map((one) => cancelKey(queue, one)));
  return ids.find((_, place) => cancelled[place] !== undefined || jobs[place] !== undefined) ?? first;
}

function isDuplicate(result: unknown): boolean {
  return typeof result === 'object' && result !== null && '$skipped' in result && result.$skipped === 'duplicate';
}
