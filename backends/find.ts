/** Lists and searches the jobs of a queue, page by page. */
import type { Job as StoredJob } from 'bullmq';
import type { Backend } from './backend.ts';
import { readFailure } from './signature.ts';

/** BullMQ's states as seen from outside: prioritized jobs are waiting ones. */
export type FoundState = 'waiting' | 'active' | 'delayed' | 'waiting-children' | 'completed' | 'failed';

export interface JobFilter {
  /** Default: all, in the order of `foundStates`. */
  readonly states?: readonly FoundState[];
  readonly tenant?: string;
  /** Of the last failure: `HTTP_503`. */
  readonly code?: string;
  /** Part of the payload's values, the id or the last failure; case does not matter for A to Z. */
  readonly text?: string;
  /** Epoch ms of acceptance, both inclusive. */
  readonly from?: number;
  readonly to?: number;
}

export interface JobPage {
  readonly jobs: readonly { readonly state: FoundState; readonly job: StoredJob }[];
  /** Pass it on to get more; undefined at the end. */
  readonly cursor: string | undefined;
  /** False when this call left something out: it looked at too many jobs (more behind the cursor), or the store's bound on text was reached. */
  readonly complete: boolean;
}

/** What is read of a job to decide whether it is looked for. */
export interface ScannedJob {
  readonly id: string;
  readonly state: FoundState;
  readonly tenant: string;
  /** As stored: `CODE: message`; empty without a failure. */
  readonly reason: string;
  /** Epoch ms. */
  readonly createdAt: number;
  /** Whether the text that was asked for is in it; true when none was. */
  readonly hasText: boolean;
  /** Where it stands in its list: what comes after it is found again, however the list has moved. */
  readonly place: string;
}

/** Jobs of one state, or of one tenant in all states. */
export type JobList = { readonly state: FoundState } | { readonly tenant: string };

export interface Scan {
  readonly queue: string;
  readonly list: JobList;
  /** A place in this list; undefined: from its start. */
  readonly after: string | undefined;
  readonly count: number;
  readonly text: string | undefined;
}

export interface JobScanner {
  /** What a call may look at. */
  readonly perCall: number;
  /** What a text is looked for in, of each list. */
  readonly textPerList: number;
  /**
   * A state: what its queue comes to last is first, of ended jobs what ended last. A tenant: what was accepted last is
   * first. Fewer than `count`, or a `next` that is undefined, when the list ends. Throws `RangeError` for a place that is none.
   */
  scan(scan: Scan): Promise<{ readonly jobs: readonly ScannedJob[]; readonly next: string | undefined }>;
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

const longestMs = 2_000;
const firstSlice = 100;
const largestSlice = 1_000;

/**
 * At most `limit` (1–100) jobs: state by state, or with a tenant by acceptance. A job that stays where it is appears
 * once; one that changes state between two calls may be missing or appear twice. Throws `RangeError` for a cursor that is none.
 */
export async function findJobs(
  backend: Pick<Backend, 'queue' | 'scanner'>,
  queue: string,
  filter: JobFilter,
  { limit, cursor }: { readonly limit: number; readonly cursor?: string },
): Promise<JobPage> {
  const { scanner } = backend;
  const lists = listsOf(filter);
  const endsAt = performance.now() + longestMs;
  const matching: ScannedJob[] = [];
  let at: Position = cursor === undefined ? start(0) : readCursor(cursor);
  let complete = true;
  let looked = 0;
  let slice = Math.max(firstSlice, limit + 1);
  for (let list = lists[at.list]; list !== undefined; list = lists[at.list]) {
    if (looked >= scanner.perCall || (looked > 0 && performance.now() > endsAt))
      return { jobs: await load(backend, queue, matching), cursor: writeCursor(at), complete: false };
    const { jobs, next } = await scanner.scan({ queue, list, after: at.place, count: slice, text: filter.text });
    for (const job of jobs) {
      if (matches(job, filter)) {
        if (matching.length === limit)
          return { jobs: await load(backend, queue, matching), cursor: writeCursor(at), complete };
        matching.push(job);
      }
      at = { ...at, place: job.place, looked: at.looked + 1 };
    }
    looked += jobs.length;
    slice = Math.min(slice * 2, largestSlice);
    const isBound = filter.text !== undefined && at.looked >= scanner.textPerList;
    if (isBound && next !== undefined) complete = false;
    at = next === undefined || isBound ? start(at.list + 1) : { ...at, place: next };
  }
  return { jobs: await load(backend, queue, matching), cursor: undefined, complete };
}

interface Position {
  /** Which of the lists. */
  readonly list: number;
  /** How many of its jobs were looked at. */
  readonly looked: number;
  readonly place: string | undefined;
}

const start = (list: number): Position => ({ list, looked: 0, place: undefined });

/** Jobs of nobody are in no tenant's list. */
function listsOf({ states, tenant }: JobFilter): JobList[] {
  if (tenant !== undefined && tenant !== '-') return [{ tenant }];
  return foundStates.filter((state) => states?.includes(state) ?? true).map((state) => ({ state }));
}

function matches(job: ScannedJob, { states, tenant, code, from, to }: JobFilter): boolean {
  return (
    job.hasText &&
    (states === undefined || states.includes(job.state)) &&
    (tenant === undefined || job.tenant === tenant) &&
    (code === undefined || (job.reason !== '' && job.state !== 'completed' && readFailure(job.reason).code === code)) &&
    (from === undefined || job.createdAt >= from) &&
    (to === undefined || job.createdAt <= to)
  );
}

async function load(
  backend: Pick<Backend, 'queue'>,
  queue: string,
  found: readonly ScannedJob[],
): Promise<JobPage['jobs']> {
  const stored: (StoredJob | undefined)[] = await Promise.all(found.map(({ id }) => backend.queue(queue).getJob(id)));
  return found.flatMap(({ state }, index) => {
    const job = stored[index];
    return job === undefined ? [] : [{ state, job }];
  });
}

/** On whose behalf a stored job runs; `-` when it came without facts of ours (board, foreign client). */
export function tenantOf({ opts }: { readonly opts: object }): string {
  if (!('jobfleet' in opts)) return '-';
  const facts: unknown = opts.jobfleet;
  if (typeof facts !== 'object' || facts === null || !('tenant' in facts)) return '-';
  return typeof facts.tenant === 'string' ? facts.tenant : '-';
}

function writeCursor({ list, looked, place }: Position): string {
  return Buffer.from(`${list} ${looked} ${place ?? ''}`).toString('base64url');
}

function readCursor(cursor: string): Position {
  const [, list, looked, place] = /^(\d) (\d{1,10}) ?(.*)$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (list === undefined || looked === undefined || place === undefined)
    throw new RangeError(`"${cursor.slice(0, 80)}" is no cursor of this list`);
  return { list: Number(list), looked: Number(looked), place: place === '' ? undefined : place };
}
