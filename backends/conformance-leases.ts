/** Claims and fences on every store: who holds a job, how long, and what a worker may still do that has lost it. */
import { randomUUID } from 'node:crypto';
import type { Job as StoredJob } from 'bullmq';
import { expect } from 'vitest';
import { gate, type Register, type Stage, until } from './conformance-stage.ts';
import { openLeaseRenewer } from './lease-renewer.ts';

export function leaseTests(stage: Stage, register: Register): void {
  register('refuses what a worker reports after it lost its lease', async () => {
    const name = stage.queueName();
    const queue = stage.first.queue(name);
    await queue.add('x', {}, { jobId: 'x_1', attempts: 3 });
    const frozen = gate();
    const claimed = gate();
    const late = stage.work(
      stage.first,
      name,
      async () => {
        claimed.open();
        await frozen.opened;
        return 'late';
      },
      { leaseMs: 200 },
    );
    await claimed.opened;
    // The frozen worker does not sweep either.
    await late.worker.pause(true);
    const fences: number[] = [];
    const { worker } = stage.work(
      stage.second,
      name,
      (job) => {
        fences.push(job.attemptsStarted);
        return Promise.resolve('second');
      },
      { leaseMs: 200 },
    );
    await new Promise((resolve) => worker.once('completed', resolve));
    const refused = new Promise<Error>((resolve) => late.worker.once('error', resolve));
    frozen.open();
    await Promise.race([refused, until(async () => expect(late.worker.isRunning()).toBe(false))]);
    expect(fences).toEqual([2]);
    expect(await queue.getJob('x_1')).toMatchObject({ returnvalue: 'second', attemptsMade: 1, attemptsStarted: 2 });
    expect(await queue.getFailedCount()).toBe(0);
  });

  register('runs a job whose worker died again, at the head of its queue', async () => {
    const name = stage.queueName();
    const queue = stage.first.queue(name);
    const ids = ['x_1', 'x_2', 'x_3', 'x_4'];
    await queue.addBulk(ids.map((jobId) => ({ name: 'x', data: {}, opts: { jobId } })));
    const dead = stage.first.worker(name, () => Promise.resolve(), { concurrency: 1, leaseMs: 50, backoff: () => 1 });
    const lost: StoredJob | undefined = await dead.worker.getNextJob(randomUUID());
    expect(lost?.id).toBe('x_1');
    await dead.worker.close(true);
    const ran: [string | undefined, number, number][] = [];
    const swept = gate();
    const { worker } = stage.work(
      stage.second,
      name,
      async (job) => {
        ran.push([job.id, job.stalledCounter, job.attemptsMade]);
        if (job.id === 'x_2') await swept.opened;
      },
      // Sweeps every 750 ms: x_2 is still held when x_1 is swept.
      { leaseMs: 1_500 },
    );
    worker.on('stalled', (id) => {
      if (id === 'x_1') swept.open();
    });
    await until(() => expect(ran).toHaveLength(4));
    expect(ran).toEqual([
      ['x_2', 0, 0],
      ['x_1', 1, 0],
      ['x_3', 0, 0],
      ['x_4', 0, 0],
    ]);
  });

  register('keeps a lease as long as it is renewed, and names the ones that are lost', async () => {
    const name = stage.queueName();
    const queue = stage.first.queue(name);
    await queue.add('x', {}, { jobId: 'x_1' });
    const renewer = await openLeaseRenewer(stage.first.leaseConnection);
    const token = gate<string>();
    const finish = gate();
    let starts = 0;
    stage.work(
      stage.first,
      name,
      async (_job, claim) => {
        starts += 1;
        token.open(claim);
        await finish.opened;
      },
      { leaseMs: 300 },
    );
    const held = await token.opened;
    let renewals = 0;
    await until(async () => {
      expect(await renewer.extend(name, ['x_1'], [held], 300)).toEqual([]);
      renewals += 1;
      // About five leases, ten sweeps.
      expect(renewals).toBeGreaterThan(75);
    });
    expect(await renewer.extend(name, ['x_1', 'x_9'], [randomUUID(), held], 300)).toEqual(['x_1', 'x_9']);
    finish.open();
    await until(async () => expect(await queue.getCompletedCount()).toBe(1));
    expect(await renewer.extend(name, ['x_1'], [held], 300)).toEqual(['x_1']);
    expect(starts).toBe(1);
    await renewer.close();
  });

  register('refuses a hand-back after the lease was lost', async () => {
    const name = stage.queueName();
    const queue = stage.first.queue(name);
    await queue.add('x', {}, { jobId: 'x_1' });
    const tuning = { concurrency: 1, leaseMs: 30_000, backoff: () => 1 };
    const { worker } = stage.first.worker(name, () => Promise.resolve(), tuning);
    const job: StoredJob | undefined = await worker.getNextJob('mine');
    if (job === undefined) throw new Error('nothing was claimed');
    await expect(stage.second.handBack(job, 'not mine')).rejects.toThrow(/lock|not mine|x_1/i);
    expect(await job.getState()).toBe('active');
    await job.moveToCompleted(null, 'mine', false);
    await worker.close();
  });
}
