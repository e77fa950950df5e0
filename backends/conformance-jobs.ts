/** The life of a job on every store: add, order, delay, duplicates, attempts, later, hand-back. */
import { DelayedError, type JobsOptions, type Job as StoredJob, WaitingError } from 'bullmq';
import { expect } from 'vitest';
import { gate, type Register, type Stage, until } from './conformance-stage.ts';

const facts = { jobfleet: { tenant: 'acme', v: 1 } };

export function jobTests(stage: Stage, register: Register): void {
  addTests(stage, register);
  attemptTests(stage, register);
}

function addTests(stage: Stage, register: Register): void {
  register('runs an added job once and keeps its result, options and facts', async () => {
    const name = stage.queueName();
    const queue = stage.first.queue(name, { attempts: 4, backoff: { type: 'policy' } });
    const added = await queue.add('mail', { to: 'a@b.c' }, { jobId: 'mail_1', ...facts });
    expect(added.id).toBe('mail_1');
    expect(await added.getState()).toBe('waiting');
    const seen: unknown[] = [];
    const { worker } = stage.work(stage.second, name, (job) => {
      seen.push([job.id, job.name, job.data, job.opts.attempts, job.attemptsStarted, job.attemptsMade]);
      return Promise.resolve({ sent: true });
    });
    await new Promise((resolve) => worker.once('completed', resolve));
    expect(seen).toEqual([['mail_1', 'mail', { to: 'a@b.c' }, 4, 1, 0]]);
    const stored: StoredJob | undefined = await queue.getJob('mail_1');
    expect(stored).toMatchObject({ returnvalue: { sent: true }, attemptsMade: 1, opts: facts });
    expect(await stored?.getState()).toBe('completed');
  });

  register('keeps the order of a bulk', async () => {
    const name = stage.queueName();
    const ids = Array.from({ length: 50 }, (_, index) => `bulk_${String(index).padStart(2, '0')}`);
    const added = await stage.first.queue(name).addBulk(ids.map((jobId) => ({ name: 'x', data: {}, opts: { jobId } })));
    expect(added.map(({ id }) => id)).toEqual(ids);
    const ran: unknown[] = [];
    stage.work(stage.second, name, (job) => Promise.resolve(ran.push(job.id)));
    await until(() => expect(ran).toEqual(ids));
  });

  register('stores a bulk of 10,000', async () => {
    const name = stage.queueName();
    const ids = Array.from({ length: 10_000 }, (_, index) => `bulk_${index}`);
    const options = { attempts: 4 };
    const jobs = ids.map((id) => ({ id, name: 'x', json: '{}', timestamp: Date.now(), options }));
    expect(await stage.first.addMany([{ queue: name, jobs }])).toEqual([ids]);
    expect(await stage.first.queue(name).getWaitingCount()).toBe(ids.length);
  });

  register('stores a bulk of several queues in order, with delays, priorities, unique keys and known ids', async () => {
    const [name, other] = [stage.queueName(), stage.queueName()];
    const job = (id: string, options: JobsOptions = {}) => ({
      id,
      name: 'x',
      json: `{"id":"${id}"}`,
      timestamp: Date.now(),
      options: { attempts: 4, ...options },
    });
    const unique = { deduplication: { id: 'key' } };
    const bulk = [
      {
        queue: name,
        jobs: [job('x_1'), job('x_2', { delay: 60_000 }), job('x_3', unique), job('x_4', unique), job('x_5')],
      },
      { queue: other, jobs: [job('y_1', { priority: 7 }), job('y_2')] },
    ];
    const ids = [
      ['x_1', 'x_2', 'x_3', 'x_3', 'x_5'],
      ['y_1', 'y_2'],
    ];
    expect(await stage.first.addMany(bulk)).toEqual(ids);
    expect(await stage.second.addMany(bulk)).toEqual(ids);
    const [queue, theirs] = [stage.first.queue(name), stage.first.queue(other)];
    expect((await queue.getJobs(['waiting'], 0, -1, true)).map(({ id }) => id)).toEqual(['x_1', 'x_3', 'x_5']);
    expect(await queue.getDelayedCount()).toBe(1);
    expect(await theirs.getJob('y_1')).toMatchObject({ data: { id: 'y_1' }, priority: 7, opts: { attempts: 4 } });
    const ran: unknown[] = [];
    stage.work(stage.second, other, ({ id }) => Promise.resolve(ran.push(id)));
    await until(() => expect(ran).toEqual(['y_2', 'y_1']));
  });

  register('runs a delayed job when it is due, not before', async () => {
    const name = stage.queueName();
    const started = gate<number>();
    stage.work(stage.second, name, () => Promise.resolve(started.open(Date.now())));
    const job = await stage.first.queue(name).add('x', {}, { jobId: 'x_1', delay: 400 });
    expect(await job.getState()).toBe('delayed');
    const waitedMs = (await started.opened) - job.timestamp;
    expect(waitedMs).toBeGreaterThanOrEqual(400);
    expect(waitedMs).toBeLessThan(3_000);
  });

  register('answers a second add of an id with the first job', async () => {
    const queue = stage.first.queue(stage.queueName());
    await queue.add('x', { n: 1 }, { jobId: 'x_1' });
    const again = await stage.second.queue(queue.name).add('x', { n: 2 }, { jobId: 'x_1' });
    expect(again.id).toBe('x_1');
    expect(await queue.getJob('x_1')).toMatchObject({ data: { n: 1 } });
    expect(await queue.getWaitingCount()).toBe(1);
  });

  register('answers a unique key with the job that has it, one by one and in bulk, until that ends', async () => {
    const name = stage.queueName();
    const queue = stage.first.queue(name);
    const add = async (jobId: string) => (await queue.add('x', {}, { jobId, deduplication: { id: 'key' } })).id;
    expect(await add('x_1')).toBe('x_1');
    expect(await add('x_2')).toBe('x_1');
    const bulk = await queue.addBulk([{ name: 'x', data: {}, opts: { jobId: 'x_3', deduplication: { id: 'key' } } }]);
    expect(bulk.map(({ id }) => id)).toEqual(['x_1']);
    const { worker } = stage.work(stage.second, name, () => Promise.resolve());
    await new Promise((resolve) => worker.once('completed', resolve));
    expect(await add('x_4')).toBe('x_4');
  });
}

function attemptTests(stage: Stage, register: Register): void {
  register('waits between attempts as told and ends as a dead letter', async () => {
    const name = stage.queueName();
    const starts: number[] = [];
    const { worker } = stage.work(
      stage.second,
      name,
      () => {
        starts.push(Date.now());
        return Promise.reject(new Error('HTTP_503: try later'));
      },
      { backoff: () => 200 },
    );
    const queue = stage.first.queue(name);
    await queue.add('x', {}, { jobId: 'x_1', attempts: 3, backoff: { type: 'policy' } });
    await until(async () => expect(await queue.getFailedCount()).toBe(1));
    expect(starts).toHaveLength(3);
    for (const [index, start] of starts.slice(1).entries()) {
      const waitedMs = start - (starts[index] ?? 0);
      expect(waitedMs).toBeGreaterThanOrEqual(195);
      expect(waitedMs).toBeLessThan(3_000);
    }
    expect(await queue.getJob('x_1')).toMatchObject({ attemptsMade: 3, failedReason: 'HTTP_503: try later' });
    await worker.close();
  });

  register('ends a job at once when the backoff says -1', async () => {
    const name = stage.queueName();
    const { worker } = stage.work(stage.second, name, () => Promise.reject(new Error('BAD_SOURCE: no')), {
      backoff: () => -1,
    });
    const failed = new Promise((resolve) => worker.once('failed', resolve));
    const queue = stage.first.queue(name);
    await queue.add('x', {}, { jobId: 'x_1', attempts: 9, backoff: { type: 'policy' } });
    await failed;
    expect(await queue.getJob('x_1')).toMatchObject({ attemptsMade: 1 });
    expect(await queue.getFailedCount()).toBe(1);
  });

  register('puts a job off without spending an attempt', async () => {
    const name = stage.queueName();
    const runs: [number, number][] = [];
    const { worker } = stage.work(stage.second, name, async (job, token) => {
      runs.push([job.attemptsStarted, job.attemptsMade]);
      if (runs.length === 3) return 'done';
      await job.moveToDelayed(Date.now() + 100, token);
      throw new DelayedError();
    });
    await stage.first.queue(name).add('x', {}, { jobId: 'x_1', attempts: 1 });
    await new Promise((resolve) => worker.once('completed', resolve));
    expect(runs).toEqual([
      [1, 0],
      [2, 0],
      [3, 0],
    ]);
  });

  register('hands a job back to the head of its queue without spending an attempt', async () => {
    const name = stage.queueName();
    const queue = stage.first.queue(name);
    await queue.addBulk(['x_1', 'x_2', 'x_3'].map((jobId) => ({ name: 'x', data: {}, opts: { jobId } })));
    const runs: [string | undefined, number][] = [];
    stage.work(stage.second, name, async (job, token) => {
      runs.push([job.id, job.attemptsMade]);
      if (runs.length > 1) return 'done';
      await stage.second.handBack(job, token);
      throw new WaitingError();
    });
    await until(() => expect(runs).toHaveLength(4));
    expect(runs).toEqual(['x_1', 'x_1', 'x_2', 'x_3'].map((id) => [id, 0]));
  });
}
