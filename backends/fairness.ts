/**
 * Start-time fair queueing. A queue whose jobs are served in order of one number, its tag, shares its workers between
 * flows (a tenant's jobs of one level): a job's tag is the flow's last tag, or the highest tag started if that is
 * higher, plus the cost of the job. A flow with a backlog reaches far ahead, one that was idle starts at the front, and
 * whatever waits is reached in the end, because tags only grow.
 */
import type { IQueueBackend, JobJson, JobsOptions, Job as StoredJob } from 'bullmq';
import type { Backend, NewJob } from './backend.ts';
import { byQueue, jobsOf, withJobs } from './flows.ts';
import { gather } from './gather.ts';
import { readTenant } from './tenants.ts';

/** What a job takes of its queue. */
export interface Turn {
  /** Tenant, and the level where it is not `normal`. */
  readonly flow: string;
  /** Greater than 0; half of it is half of the flow's way to the next tag. */
  readonly cost: number;
}

/** Tags of one store. Nothing is kept for a flow whose tags have all been passed, nor for a queue that is empty. */
export interface TagStore {
  /** One tag each, in order, from 1 to `highestTag`. An empty queue (nothing waiting, nothing delayed) starts at 1 again. */
  nextTags(queue: string, turns: readonly Turn[]): Promise<number[]>;
  /** Jobs up to this tag have been started. */
  passTag(queue: string, tag: number): Promise<void>;
  /** The highest tag given since the queue was empty; 0 when none was. */
  lastTag(queue: string): Promise<number>;
}

/**
 * BullMQ's priorities end at 2^21 − 1. A million normal jobs without one moment in which the queue is empty reach this;
 * from then on all get the same tag, and fairness rests until the queue is empty.
 */
export const highestTag = 2_000_000;

/** As it goes to the store; on a queue that is shared fairly with its turn, of which the store makes BullMQ's `priority`. */
export interface JobInTurn extends JobJson {
  readonly turn?: Turn;
}

/** On the instance of a queue: jobs that have a turn get their tag on the way to the store, all others pass as they are. */
export function addInTurn(backend: IQueueBackend, queue: string, tags: TagStore): void {
  const addOne = backend.addJob.bind(backend);
  const addAll = backend.addJobs.bind(backend);
  const addFlow = backend.addFlow.bind(backend);
  const nextTag = gather<Turn, number>({
    most: 500,
    mostWeight: 500,
    weigh: () => 1,
    lanes: 2,
    send: (turns) => tags.nextTags(queue, turns),
  });
  backend.addJob = (job: JobInTurn, jobId, parent) =>
    job.turn === undefined
      ? addOne(job, jobId, parent)
      : nextTag(job.turn).then((tag) => addOne(withTag(job, tag), jobId, parent));
  backend.addJobs = async (entries) => {
    if (!entries.some(({ job }) => isInTurn(job))) return addAll(entries);
    const jobs = await allWithTags(
      queue,
      entries.map(({ job }) => job),
      tags,
    );
    return addAll(entries.map((entry, place) => ({ ...entry, job: jobs[place] ?? entry.job })));
  };
  backend.addFlow = async (entries) => {
    if (!entries.some(({ jobData }) => isInTurn(jobData))) return addFlow(entries);
    const given = new Map<JobJson, JobJson>();
    for (const [name, theirs] of byQueue(entries)) {
      const jobs = theirs.map(({ jobData }) => jobData);
      for (const [place, job] of (await allWithTags(name, jobs, tags)).entries()) given.set(jobs[place] ?? job, job);
    }
    return addFlow(entries.map((entry) => ({ ...entry, jobData: given.get(entry.jobData) ?? entry.jobData })));
  };
}

const isInTurn = ({ turn }: JobInTurn): boolean => turn !== undefined;

async function allWithTags(queue: string, jobs: readonly JobInTurn[], tags: TagStore): Promise<readonly JobJson[]> {
  const turns = jobs.flatMap(({ turn }) => turn ?? []);
  if (turns.length === 0) return jobs;
  const given = await tags.nextTags(queue, turns);
  let place = 0;
  return jobs.map((job) => (job.turn === undefined ? job : withTag(job, given[place++])));
}

function withTag({ turn: _taken, ...job }: JobInTurn, priority: number | undefined): JobJson {
  return priority === undefined ? job : { ...job, opts: { ...job.opts, priority } };
}

/** The same for the jobs of a flow: each takes its turn now, a parent too, so that it is early when its children are done. */
export function addFlowInTurn(stock: Pick<Backend, 'addFlow'>, tags: TagStore): Pick<Backend, 'addFlow'> {
  return {
    async addFlow(flow) {
      const jobsByQueue = new Map<string, NewJob[]>();
      for (const { queue, job } of jobsOf(flow))
        if (job.turn !== undefined) jobsByQueue.set(queue, [...(jobsByQueue.get(queue) ?? []), job]);
      const given = new Map<string, NewJob>();
      for (const [queue, jobs] of jobsByQueue) {
        const turns = jobs.flatMap(({ turn }) => turn ?? []);
        for (const [at, tag] of (await tags.nextTags(queue, turns)).entries()) {
          const job = jobs[at];
          if (job !== undefined) given.set(job.id, tagged(job, tag));
        }
      }
      return stock.addFlow(withJobs(flow, given));
    },
  };
}

function tagged(job: NewJob, priority: number | undefined): NewJob {
  return priority === undefined ? job : { ...job, options: { ...job.options, priority } };
}

/** What a level costs: high jobs pass normal ones 2 : 1 and low ones 8 : 1. */
const costs = { high: 1, normal: 2, low: 8 } as const;

/** `weight`: a tenant's share of the queue in relation to others, at least 1. */
export function turnOf(tenant: string, level: keyof typeof costs = 'normal', weight = 1): Turn {
  return { flow: level === 'normal' ? tenant : `${tenant} ${level}`, cost: costs[level] / Math.max(1, weight) };
}

/** A job that goes back to work takes its turn anew: the tag of its former life may be far behind, or far ahead. */
export async function retag(
  { records, tags }: Pick<Backend, 'records' | 'tags'>,
  queue: string,
  job: StoredJob,
): Promise<void> {
  if (job.priority === 0) return;
  const [priority] = await tags.nextTags(queue, [await storedTurn(job.opts, records)]);
  if (priority !== undefined) await job.changePriority({ priority });
}

async function storedTurn(opts: JobsOptions, records: Backend['records']): Promise<Turn> {
  const facts: unknown = Reflect.get(opts, 'jobfleet');
  if (typeof facts !== 'object' || facts === null) return turnOf('-');
  const tenant: unknown = Reflect.get(facts, 'tenant');
  const level: unknown = Reflect.get(facts, 'level');
  if (typeof tenant !== 'string') return turnOf('-');
  const { weight } = await readTenant(records, tenant);
  return turnOf(tenant, level === 'high' || level === 'low' ? level : 'normal', weight);
}
