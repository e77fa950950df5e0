/** What other processes see of a job and do to it, on every store: cancel, progress, logs, events, lists, retention. */
import { once } from 'node:events';
import { type Job as StoredJob, UnrecoverableError } from 'bullmq';
import { expect, vi } from 'vitest';
import { gate, type Register, type Stage, until } from './conformance-stage.ts';
import { retentionChores } from './retention.ts';

export function watchingTests(stage: Stage, register: Register): void {
  cancelTests(stage, register);
  eventTests(stage, register);
  retentionTests(stage, register);
}

function cancelTests(stage: Stage, register: Register): void {
  register('removes a waiting job from another process', async () => {
    const queue = stage.first.queue(stage.queueName());
    await queue.add('x', {}, { jobId: 'x_1' });
    const found: StoredJob | undefined = await stage.second.queue(queue.name).getJob('x_1');
    await found?.remove();
    expect(await queue.getJob('x_1')).toBeUndefined();
    expect(await queue.getWaitingCount()).toBe(0);
  });

  register('refuses to remove an active job, and removes it in the step that ends it', async () => {
    const name = stage.queueName();
    const queue = stage.first.queue(name);
    const started = gate();
    const cancelled = gate();
    let isHeard = false;
    const stopListening = stage.second.control.listen((message) => {
      if (message.kind !== 'cancel' || message.queue !== name || message.id !== 'x_1') return;
      isHeard = true;
      cancelled.open();
    });
    const { worker } = stage.work(stage.second, name, async (job) => {
      started.open();
      await cancelled.opened;
      job.opts.removeOnFail = true;
      throw new UnrecoverableError('CANCELLED: on request');
    });
    const ended = new Promise((resolve) => worker.once('failed', resolve));
    await queue.add('x', {}, { jobId: 'x_1', attempts: 5 });
    await started.opened;
    const active: StoredJob | undefined = await queue.getJob('x_1');
    await expect(active?.remove()).rejects.toThrow(/locked/);
    // Only a hint: the listener may not have been connected for the first one.
    await until(async () => {
      await stage.first.control.send({ kind: 'cancel', queue: name, id: 'x_1' });
      expect(isHeard).toBe(true);
    });
    await ended;
    stopListening();
    expect(await queue.getJob('x_1')).toBeUndefined();
    expect(await queue.getFailedCount()).toBe(0);
  });
}

function eventTests(stage: Stage, register: Register): void {
  register('shows progress, logs and events to another process', async () => {
    const name = stage.queueName();
    const events = stage.first.events(name);
    expect(stage.first.events(name)).toBe(events);
    await events.waitUntilReady();
    const told: string[] = [];
    const completed = gate<unknown>();
    events.on('active', () => told.push('active'));
    events.on('progress', ({ data }) => told.push(`progress ${JSON.stringify(data)}`));
    events.on('completed', ({ returnvalue }) => completed.open(returnvalue));
    // Readers start at the newest event: one of our own shows that this one has begun.
    await until(async () => {
      const started = new Promise((resolve) => events.once('waiting', resolve));
      const probe = await stage.first.queue(name).add('probe', {}, { delay: 0 });
      try {
        await Promise.race([started, new Promise((_, refuse) => setTimeout(refuse, 200, new Error('not yet')))]);
      } finally {
        await probe.remove();
      }
    });
    stage.work(stage.second, name, async (job) => {
      await job.updateProgress({ percent: 50 });
      await job.log('first');
      await job.log('second');
      return { ok: true };
    });
    await stage.first.queue(name).add('x', {}, { jobId: 'x_1' });
    expect(await completed.opened).toEqual({ ok: true });
    expect(told.slice(-2)).toEqual(['active', 'progress {"percent":50}']);
    const stored: StoredJob | undefined = await stage.first.queue(name).getJob('x_1');
    expect(stored?.progress).toEqual({ percent: 50 });
    expect(await stage.first.queue(name).getJobLogs('x_1')).toEqual({ logs: ['first', 'second'], count: 2 });
  });

  register('notes that the store answered, and wakes an idle worker at once', async () => {
    const name = stage.queueName();
    const started = gate<number>();
    const { watch, worker } = stage.work(stage.second, name, () => Promise.resolve(started.open(Date.now())));
    await once(worker, 'drained');
    const before = watch.lastAnswerAt();
    expect(performance.now() - before).toBeLessThan(5_000);
    expect(watch.blockMs).toBeLessThanOrEqual(10_000);
    const job = await stage.first.queue(name).add('x', {});
    expect((await started.opened) - job.timestamp).toBeLessThan(2_000);
    await until(() => expect(watch.lastAnswerAt()).toBeGreaterThanOrEqual(before));
  });
}

function retentionTests(stage: Stage, register: Register): void {
  register('keeps every dead letter until its age, then deletes and names it', async () => {
    const name = stage.queueName();
    const queue = stage.first.queue(name);
    const { worker } = stage.work(stage.second, name, () => Promise.reject(new Error('BAD_SOURCE: no')));
    const ended = gate();
    let failures = 0;
    worker.on('failed', () => {
      failures += 1;
      if (failures === 3) ended.open();
    });
    // Whatever a foreign producer asks for.
    await queue.add('x', {}, { jobId: 'x_1' });
    await queue.add('x', {}, { jobId: 'x_2', removeOnFail: true });
    await queue.add('x', {}, { jobId: 'x_3', removeOnFail: { count: 1 } });
    await ended.opened;
    expect(await queue.getFailedCount()).toBe(3);
    const expired: string[] = [];
    const sweep = async (failedMs: number) => {
      const chores = retentionChores({
        backend: stage.first,
        queues: [name],
        onExpired: (_queue, ids) => expired.push(...ids),
        limits: { failedMs, completedMs: 86_400_000, completedCount: 10_000 },
      });
      for (const chore of chores) await chore.run(new AbortController().signal);
    };
    await sweep(60_000);
    expect(expired).toEqual([]);
    // A keeper whose clock is far ahead: what counts is the store's.
    const right = Date.now;
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => right() + 15 * 86_400_000);
    await sweep(60_000).finally(() => clock.mockRestore());
    expect(expired).toEqual([]);
    await sweep(-1);
    expect(expired.sort()).toEqual(['x_1', 'x_2', 'x_3']);
    expect(await queue.getFailedCount()).toBe(0);
  });

  register('keeps completed jobs, and no more than agreed', async () => {
    const name = stage.queueName();
    const queue = stage.first.queue(name);
    const jobs = await queue.addBulk(
      Array.from({ length: 10 }, (_, n) => ({ name: 'x', data: {}, opts: { jobId: `x_${n}` } })),
    );
    stage.work(stage.second, name, () => Promise.resolve());
    await until(async () => expect(await queue.getCompletedCount()).toBe(10));
    if (stage.first.kind === 'redis') {
      expect(jobs[0]?.opts.removeOnComplete).toEqual({ age: 86_400, count: 10_000 });
      return;
    }
    const limits = { failedMs: 86_400_000, completedMs: 86_400_000, completedCount: 4 };
    const chores = retentionChores({ backend: stage.first, queues: [name], onExpired: () => undefined, limits });
    for (const chore of chores) await chore.run(new AbortController().signal);
    const left: StoredJob[] = await queue.getJobs(['completed'], 0, -1, true);
    expect(left.map(({ id }) => id)).toEqual(['x_6', 'x_7', 'x_8', 'x_9']);
  });
}
