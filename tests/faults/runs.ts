/** Adds what the run record of each job says: which of its runs ended for no fault of its own. */
import type { RecordStore } from '../../backends/backend.ts';
import { readRun, runKey } from '../../backends/run-record.ts';
import type { FinalRecord } from './checker.ts';

const atOnce = 500;

/** A job that ran once has none. */
export async function readRuns(
  records: RecordStore,
  queue: string,
  jobs: readonly FinalRecord[],
): Promise<FinalRecord[]> {
  const again = jobs.filter(({ claims }) => claims > 1);
  const runs = new Map<string, NonNullable<FinalRecord['run']>>();
  for (let from = 0; from < again.length; from += atOnce) {
    const some = again.slice(from, from + atOnce);
    const stored = await records.get(some.map(({ id }) => runKey(queue, id)));
    for (const [index, { id }] of some.entries()) {
      const { causes, deaths, interrupted } = readRun(stored[index]?.value ?? '{}');
      runs.set(id, { causes, deaths, interrupted });
    }
  }
  return jobs.map((job) => {
    const run = runs.get(job.id);
    return run === undefined ? job : { ...job, run };
  });
}
