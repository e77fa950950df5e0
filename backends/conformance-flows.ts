/** Flows on the stores that have them: a parent runs after its children, and none of them can make it wait for ever. */
import type { Job as StoredJob } from 'bullmq';
import { expect } from 'vitest';
import { type Register, type Stage, until } from './conformance-stage.ts';

const titles = {
  after: 'runs a parent after its children, with their results',
  fails: 'fails a parent whose child is a dead letter, without running it',
  beside: 'runs a parent beside a failed child where the child says so',
  cancelled: 'runs a parent whose children were cancelled',
};

/** Of the tests that a store without the capability `flows` cannot be asked. */
export const flowTitles: readonly string[] = Object.values(titles);

export function flowTests(stage: Stage, register: Register): void {
  /** A parent with two children in a queue of their own, and workers for both queues. */
  const start = async (options: { child?: (job: StoredJob) => Promise<unknown>; opts?: object }) => {
    const [parents, children] = [stage.queueName(), stage.queueName()];
    const ran: unknown[] = [];
    await stage.first.flows().add({
      name: 'parent',
      queueName: parents,
      opts: { jobId: 'parent_1' },
      children: [1, 2].map((n) => ({
        name: 'child',
        queueName: children,
        data: { n },
        opts: { jobId: `child_${n}`, ...options.opts },
      })),
    });
    const queue = stage.first.queue(parents);
    expect(await queue.getJobState('parent_1')).toBe('waiting-children');
    stage.work(stage.second, parents, async (job) => {
      ran.push('parent');
      return Object.values(await job.getChildrenValues()).toSorted((a, b) => Number(a) - Number(b));
    });
    const { child } = options;
    if (child !== undefined) stage.work(stage.second, children, child, { backoff: () => -1 });
    return { queue, children: stage.first.queue(children), ran };
  };
  const failing = (job: StoredJob) =>
    job.id === 'child_1' ? Promise.reject(new Error('BAD_SOURCE: no')) : Promise.resolve(2);

  register('keeps flows, or says at the door that it does not', async () => {
    const { flows } = stage.first.capabilities;
    const said = Promise.resolve().then(() => stage.first.flows());
    if (flows) await expect(said).resolves.toBeDefined();
    else await expect(said).rejects.toThrow(/keeps no flows/);
  });

  register(titles.after, async () => {
    const { queue, ran } = await start({ child: (job) => Promise.resolve(Number(job.id?.at(-1))) });
    await until(async () => expect(await queue.getCompletedCount()).toBe(1));
    expect(await queue.getJob('parent_1')).toMatchObject({ returnvalue: [1, 2] });
    expect(ran).toEqual(['parent']);
  });

  register(titles.fails, async () => {
    const { queue, children, ran } = await start({ child: failing });
    await until(async () => expect(await queue.getFailedCount()).toBe(1));
    expect(await children.getJobState('child_1')).toBe('failed');
    expect((await queue.getJob('parent_1'))?.failedReason).toContain('child_1');
    expect(ran).toEqual([]);
  });

  register(titles.beside, async () => {
    const { queue } = await start({ child: failing, opts: { ignoreDependencyOnFailure: true } });
    await until(async () => expect(await queue.getCompletedCount()).toBe(1));
    expect(await queue.getJob('parent_1')).toMatchObject({ returnvalue: [2] });
  });

  register(titles.cancelled, async () => {
    const { queue, children } = await start({});
    await children.remove('child_1');
    expect(await queue.getJobState('parent_1')).toBe('waiting-children');
    await children.remove('child_2');
    await until(async () => expect(await queue.getCompletedCount()).toBe(1));
  });
}
