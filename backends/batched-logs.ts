/**
 * Log lines that come together leave together and in order: one step of the store for all that were written while the
 * last answer was awaited. On PostgreSQL a line alone costs a commit, and two that come together want the same number.
 */
import type { IQueueBackend } from 'bullmq';
import { gather } from './gather.ts';
import { asError } from './unreachable.ts';

/** New lines of one job. */
interface Lines {
  readonly id: string;
  readonly rows: string[];
  /** The newest so many stay; undefined: all. */
  keep: number | undefined;
}

interface Row {
  readonly id: string;
  readonly row: string;
  readonly keep: number | undefined;
}

/**
 * Stores the lines of several jobs; answers for each how many it now has, or why it has none of these, and undefined for
 * a job that is not there, and for all where the store refused them together: each is then tried alone. Rejects when the
 * store is lost.
 */
export type Append = (jobs: readonly Lines[]) => Promise<readonly (number | Error | undefined)[]>;

/** Replaces `addLog` on the instance. One batch at a time: a second one under way could overtake the first. */
export function batchLogs(backend: IQueueBackend, append: Append): void {
  const stock = backend.addLog.bind(backend);
  const add = gather<Row, number>({
    most: 200,
    mostWeight: 256 * 1_024,
    weigh: ({ row }) => row.length,
    lanes: 1,
    async send(batch) {
      const jobs = byJob(batch);
      const counts = await append([...jobs.values()]);
      const answerOf = new Map(Array.from(jobs.keys(), (id, at) => [id, counts[at]]));
      const answers: (number | Error)[] = [];
      // What was refused together gets, one after the other, the answer that is BullMQ's.
      for (const { id, row, keep } of batch)
        answers.push(answerOf.get(id) ?? (await stock(id, row, keep).catch(asError)));
      return answers;
    },
  });
  // 0 keeps all, as in BullMQ.
  backend.addLog = (id, row, keep) => add({ id, row, keep: keep === 0 ? undefined : keep });
}

function byJob(batch: readonly Row[]): Map<string, Lines> {
  const jobs = new Map<string, Lines>();
  for (const { id, row, keep } of batch) {
    const job = jobs.get(id);
    if (job === undefined) jobs.set(id, { id, rows: [row], keep });
    else {
      job.rows.push(row);
      job.keep = keep;
    }
  }
  return jobs;
}
