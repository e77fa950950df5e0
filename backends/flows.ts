/** Parents that wait for their children, as BullMQ's flows, with our defaults. */
import {
  type FlowJob,
  type FlowOpts,
  FlowProducer,
  type JobNode,
  type JobsOptions,
  type Job as StoredJob,
} from 'bullmq';
import type { FlowChild, NewFlow } from './backend.ts';

/** What a child that fails for good does to its parent, in BullMQ's words. */
const decisions = [
  'continueParentOnFailure',
  'failParentOnFailure',
  'ignoreDependencyOnFailure',
  'removeDependencyOnFailure',
] as const;

export class StoreFlows extends FlowProducer {
  /** What becomes of completed jobs when nobody says otherwise. */
  removeOnComplete: JobsOptions['removeOnComplete'];

  override add(flow: FlowJob, options?: FlowOpts): Promise<JobNode> {
    return super.add(this.#complete(flow, false), options);
  }

  override addBulk(flows: FlowJob[]): Promise<JobNode[]> {
    return super.addBulk(flows.map((flow) => this.#complete(flow, false)));
  }

  /** A failed child fails its parent unless it was told otherwise: BullMQ's own default lets the parent wait for ever. */
  #complete(flow: FlowJob, isChild: boolean): FlowJob {
    const given = flow.opts ?? {};
    const isDecided = decisions.some((name) => given[name] !== undefined);
    const opts: JobsOptions = {
      ...(this.removeOnComplete === undefined ? {} : { removeOnComplete: this.removeOnComplete }),
      ...(isChild && !isDecided ? { failParentOnFailure: true } : {}),
      ...given,
      removeOnFail: false,
    };
    const { children } = flow;
    return {
      ...flow,
      opts,
      ...(children === undefined ? {} : { children: children.map((child) => this.#complete(child, true)) }),
    };
  }
}

/** A flow in BullMQ's words. */
export function flowJobOf({ queue, job, onFailure, children }: NewFlow): FlowJob {
  return {
    name: job.name,
    queueName: queue,
    data: JSON.parse(job.json),
    opts: {
      ...job.options,
      jobId: job.id,
      timestamp: job.timestamp,
      ...(onFailure === 'ignore' ? { ignoreDependencyOnFailure: true } : {}),
    },
    ...(children.length === 0 ? {} : { children: children.map(flowJobOf) }),
  };
}

/** The entries of one call of BullMQ's `addFlow`, queue by queue, each in its order. */
export function byQueue<E extends { readonly queueName: string }>(entries: readonly E[]): Map<string, E[]> {
  const groups = new Map<string, E[]>();
  for (const entry of entries) {
    const group = groups.get(entry.queueName);
    if (group === undefined) groups.set(entry.queueName, [entry]);
    else group.push(entry);
  }
  return groups;
}

/** Every job of a flow, the parent first. */
export function jobsOf(flow: NewFlow): readonly Pick<NewFlow, 'job' | 'queue'>[] {
  return [flow, ...flow.children.flatMap(jobsOf)];
}

/** The same flow with other jobs, told by their ids; those that are missing stay. */
export function withJobs(flow: NewFlow, jobs: ReadonlyMap<string, NewFlow['job']>): NewFlow {
  const children = flow.children.map((child) => withJobs(child, jobs));
  return { ...flow, job: jobs.get(flow.job.id) ?? flow.job, children };
}

/** The children of a stored parent, in no order. */
export async function childrenOf(parent: StoredJob): Promise<FlowChild[]> {
  const { processed = {}, unprocessed = [], ignored = {}, failed = [] } = await parent.getDependencies();
  const child = (key: string, facts: Omit<FlowChild, 'id' | 'queue'>): FlowChild => {
    const [id = '', queue = ''] = key.split(':').toReversed();
    return { id, queue, ...facts };
  };
  return [
    ...Object.entries(processed).map(([key, result]) => child(key, { state: 'completed', result })),
    ...Object.entries(ignored).map(([key, reason]) => child(key, { state: 'failed', reason: String(reason) })),
    ...failed.filter((key) => !Object.hasOwn(ignored, key)).map((key) => child(key, { state: 'failed' })),
    ...unprocessed.map((key) => child(key, { state: 'open' })),
  ];
}
