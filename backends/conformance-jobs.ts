/** The life of a job on every store: add, run, retry, later, hand-back, cancel, events, duplicates, retention, payloads. */
import { once } from 'node:events';
import { DelayedError, type Job as StoredJob, UnrecoverableError, WaitingError } from 'bullmq';
import {
  array,
  assert,
  asyncProperty,
  boolean,
  constant,
  dictionary,
  double,
  integer,
  letrec,
  oneof,
  pre,
  string,
} from 'fast-check';
import { expect } from 'vitest';
import { gate, type Register, type Stage, until } from './conformance-stage.ts';
import { findJobs } from './find.ts';
import { portabilityProblem } from './portable.ts';
import { retentionChores } from './retention.ts';

const facts = { jobfleet: { tenant: 'acme', v: 1 } };

export function jobTests(stage: Stage, register: Register, { heavy }: { readonly heavy: boolean }): void {
  addTests(stage, register);
  attemptTests(stage, register);
  cancelTests(stage, register);
  watchingTests(stage, register);
  retentionTests(stage, register);
  payloadTests(stage, register);
  raceTests(stage, register, heavy);
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
      if (message.queue !== name || message.id !== 'x_1') return;
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

function watchingTests(stage: Stage, register: Register): void {
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
      await Promise.race([started, new Promise((_, refuse) => setTimeout(refuse, 200, new Error('not yet')))]);
      await probe.remove();
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

  register('lists jobs by state and tenant, page by page', async () => {
    const queue = stage.first.queue(stage.queueName());
    const tenants = ['acme', 'other'];
    await queue.addBulk(
      Array.from({ length: 30 }, (_, index) => ({
        name: 'x',
        data: {},
        opts: {
          jobId: `x_${String(index).padStart(2, '0')}`,
          jobfleet: { tenant: tenants[index % 2], v: 1 },
          ...(index < 6 ? { delay: 60_000 } : index < 12 ? { priority: 5 } : {}),
        },
      })),
    );
    const found: [string, string | undefined][] = [];
    let cursor: string | undefined;
    do {
      const page = await findJobs(queue, { tenant: 'acme' }, { limit: 4, ...(cursor === undefined ? {} : { cursor }) });
      found.push(...page.jobs.map(({ state, job }): [string, string | undefined] => [state, job.id]));
      expect(page.complete).toBe(true);
      cursor = page.cursor;
    } while (cursor !== undefined);
    expect(found).toHaveLength(15);
    expect(new Set(found.map(([, id]) => id)).size).toBe(15);
    expect(found.filter(([state]) => state === 'delayed')).toHaveLength(3);
    expect(found.filter(([state]) => state === 'waiting')).toHaveLength(12);
  });

  register('notes that the store answered, and wakes an idle worker at once', async () => {
    const name = stage.queueName();
    const started = gate<number>();
    const { watch, worker } = stage.work(stage.second, name, () => Promise.resolve(started.open(Date.now())));
    await once(worker, 'drained');
    const before = watch.lastAnswerAt();
    expect(Date.now() - before).toBeLessThan(5_000);
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

// Code points that encoders get wrong; random text meets them too seldom.
const edges = [
  '\u0001',
  '\u007f',
  '\u0085',
  '\u2028',
  '\ufeff',
  '\ufffd',
  '\ufffe',
  '\uffff',
  '\u{1f600}',
  '\u{10ffff}',
  '"',
  '\\',
  "'",
  '$1',
  '\u202e',
];
const text = oneof(
  string({ unit: 'binary', maxLength: 20 }),
  string({ unit: oneof(...edges.map(constant)), maxLength: 8 }),
  string(),
);
const { payload } = letrec<{ payload: Record<string, unknown>; value: unknown }>((tie) => ({
  payload: dictionary(text, tie('value'), { maxKeys: 6 }),
  value: oneof(
    { depthSize: 'small', withCrossShrink: true },
    text,
    double(),
    integer(),
    boolean(),
    constant(null),
    array(tie('value'), { maxLength: 5 }),
    tie('payload'),
  ),
}));

function payloadTests(stage: Stage, register: Register): void {
  register(
    'gives back every payload it accepts, exactly (200 random ones)',
    async () => {
      const name = stage.queueName();
      const waiting = new Map<string, (data: unknown) => void>();
      stage.work(stage.second, name, (job) => Promise.resolve(waiting.get(job.id ?? '')?.(job.data)), {
        concurrency: 4,
      });
      let count = 0;
      await assert(
        asyncProperty(payload, async (data) => {
          pre(portabilityProblem(data) === undefined);
          count += 1;
          const jobId = `x_${count}`;
          const arrived = new Promise<unknown>((resolve) => waiting.set(jobId, resolve));
          await stage.first.queue(name).add('x', data, { jobId });
          // −0 is 0 in JSON, on every store alike.
          const canonical: unknown = JSON.parse(JSON.stringify(data));
          expect(await arrived).toStrictEqual(canonical);
          const stored: StoredJob | undefined = await stage.first.queue(name).getJob(jobId);
          expect(stored?.data).toStrictEqual(canonical);
        }),
        { numRuns: 200 },
      );
    },
    60_000,
  );
}

function raceTests(stage: Stage, register: Register, heavy: boolean): void {
  const [jobs, defers] = heavy ? [200, 5] : [60, 3];
  register(
    `two workers put ${jobs} jobs off ${defers} times each and spend no attempt`,
    async () => {
      const name = stage.queueName();
      const runs = new Map<string, number>();
      const attempts: number[] = [];
      for (const backend of [stage.first, stage.second]) {
        stage.work(
          backend,
          name,
          async (job, token) => {
            const id = job.id ?? '';
            const run = (runs.get(id) ?? 0) + 1;
            runs.set(id, run);
            attempts.push(job.attemptsMade);
            if (run > defers) return run;
            await job.moveToDelayed(Date.now() + Math.round(Math.random() * 20), token);
            throw new DelayedError();
          },
          { concurrency: 20 },
        );
      }
      const queue = stage.first.queue(name);
      const ids = Array.from({ length: jobs }, (_, n) => `x_${n}`);
      await queue.addBulk(ids.map((jobId) => ({ name: 'x', data: {}, opts: { jobId, attempts: 2 } })));
      await until(async () => expect(await queue.getCompletedCount()).toBe(jobs), 50_000);
      expect(attempts.every((made) => made === 0)).toBe(true);
      expect(Array.from(runs.values())).toEqual(Array.from({ length: jobs }, () => defers + 1));
    },
    60_000,
  );
}
