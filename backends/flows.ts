/** Parents that wait for their children, as BullMQ's flows, with our defaults. */
import { type FlowJob, type FlowOpts, FlowProducer, type JobNode, type JobsOptions } from 'bullmq';

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
