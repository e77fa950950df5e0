/** Lists the jobs of a queue by state and tenant, page by page. */
import type { JobType, Queue, Job as StoredJob } from 'bullmq';

/** BullMQ's states as seen from outside: prioritized jobs are waiting ones. */
export type FoundState = 'waiting' | 'active' | 'delayed' | 'waiting-children' | 'completed' | 'failed';

export interface JobFilter {
  /** Default: all, in the order of `foundStates`. */
  readonly states?: readonly FoundState[];
  readonly tenant?: string;
}

export interface JobPage {
  readonly jobs: readonly { readonly state: FoundState; readonly job: StoredJob }[];
  /** Pass it on to get more; undefined at the end. */
  readonly cursor: string | undefined;
  /** False when the page ended early, after 1,000 jobs of other tenants: more may match behind the cursor. */
  readonly complete: boolean;
}

/** What runs first, what has ended last. */
export const foundStates: readonly FoundState[] = [
  'active',
  'waiting',
  'delayed',
  'waiting-children',
  'completed',
  'failed',
];

const storedAs: Readonly<Record<FoundState, readonly JobType[]>> = {
  active: ['active'],
  completed: ['completed'],
  delayed: ['delayed'],
  failed: ['failed'],
  waiting: ['waiting', 'prioritized'],
  'waiting-children': ['waiting-children'],
};

const loadedPerCall = 1_000;
const loadedAtOnce = 100;

/**
 * The newest first within a state, at most `limit` (1–100). The cursor is a place in a list that moves: a job that
 * changes state between two calls may be missing or appear twice. Throws `RangeError` for a cursor that is none.
 */
export async function findJobs(
  queue: Pick<Queue, 'getJobs'>,
  filter: JobFilter,
  { limit, cursor }: { readonly limit: number; readonly cursor?: string },
): Promise<JobPage> {
  const lists = foundStates
    .filter((state) => filter.states === undefined || filter.states.includes(state))
    .flatMap((state) => storedAs[state].map((stored) => ({ state, stored })));
  const jobs: JobPage['jobs'][number][] = [];
  let [list, offset] = cursor === undefined ? [0, 0] : readCursor(cursor);
  for (let loaded = 0; loaded < loadedPerCall; ) {
    const place = lists[list];
    if (place === undefined) return { jobs, cursor: undefined, complete: true };
    const found: StoredJob[] = await queue.getJobs([place.stored], offset, offset + loadedAtOnce - 1, false);
    for (const job of found) {
      if (jobs.length === limit) return { jobs, cursor: writeCursor(list, offset), complete: true };
      offset += 1;
      loaded += 1;
      if (filter.tenant === undefined || tenantOf(job) === filter.tenant) jobs.push({ state: place.state, job });
    }
    if (found.length < loadedAtOnce) [list, offset] = [list + 1, 0];
  }
  return { jobs, cursor: writeCursor(list, offset), complete: false };
}

/** On whose behalf a stored job runs; `-` when it came without facts of ours (board, foreign client). */
export function tenantOf({ opts }: Pick<StoredJob, 'opts'>): string {
  if (!('jobfleet' in opts)) return '-';
  const facts: unknown = opts.jobfleet;
  if (typeof facts !== 'object' || facts === null || !('tenant' in facts)) return '-';
  return typeof facts.tenant === 'string' ? facts.tenant : '-';
}

function writeCursor(list: number, offset: number): string {
  return Buffer.from(`${list} ${offset}`).toString('base64url');
}

function readCursor(cursor: string): [number, number] {
  const parts = /^(\d{1,2}) (\d{1,10})$/.exec(Buffer.from(cursor, 'base64url').toString());
  if (parts === null) throw new RangeError(`"${cursor.slice(0, 80)}" is no cursor of this list`);
  return [Number(parts[1]), Number(parts[2])];
}
