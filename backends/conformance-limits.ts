/** Limits on every store: rates in windows, unique keys, the whole queue's concurrency and rate, dates far away. */
import { expect } from 'vitest';
import { gate, type Register, type Stage, until } from './conformance-stage.ts';

export function limitTests(stage: Stage, register: Register): void {
  rateTests(stage, register);
  queueTests(stage, register);
  uniqueTests(stage, register);
}

function rateTests(stage: Stage, register: Register): void {
  register(
    'allows N of N + 1 in the same millisecond, over all processes, and says when the next window begins',
    async () => {
      const key = stage.queueName();
      const [here, there] = [stage.first, stage.second].map((backend) => backend.limiter('test', 10, 60_000));
      const taken = await Promise.all(
        Array.from({ length: 11 }, async (_, index) => (index % 2 === 0 ? here : there)?.take(key)),
      );
      expect(taken.filter((one) => one?.isAllowed === true)).toHaveLength(10);
      const [refused] = taken.filter((one) => one?.isAllowed === false);
      expect(refused).toMatchObject({ limit: 10, remaining: 0 });
      expect(refused?.resetMs).toBeGreaterThan(50_000);
      expect(refused?.resetMs).toBeLessThanOrEqual(60_000);
      expect(await here?.take(`${key}-other`)).toMatchObject({ isAllowed: true, remaining: 9 });
    },
  );

  register('takes all points of a bulk or none of them', async () => {
    const key = stage.queueName();
    const limiter = stage.first.limiter('test', 10, 60_000);
    expect(await limiter.take(key, 8)).toMatchObject({ isAllowed: true, remaining: 2 });
    expect(await limiter.take(key, 3)).toMatchObject({ isAllowed: false, remaining: 2 });
    expect(await limiter.take(key, 2)).toMatchObject({ isAllowed: true, remaining: 0 });
    expect(await limiter.take(key)).toMatchObject({ isAllowed: false, remaining: 0 });
  });

  register('begins a new window when one is over', async () => {
    const key = stage.queueName();
    const limiter = stage.first.limiter('test', 2, 1_000);
    await limiter.take(key, 2);
    expect(await limiter.take(key)).toMatchObject({ isAllowed: false });
    await until(async () => expect(await limiter.take(key)).toMatchObject({ isAllowed: true, remaining: 1 }));
  });
}

function queueTests(stage: Stage, register: Register): void {
  register('holds a queue to its concurrency over all workers', async () => {
    const name = stage.queueName();
    const queue = stage.first.queue(name);
    await queue.setGlobalConcurrency(3);
    await queue.addBulk(
      Array.from({ length: 12 }, (_, index) => ({ name: 'x', data: {}, opts: { jobId: `x_${index}` } })),
    );
    let running = 0;
    let most = 0;
    let ended = 0;
    const full = gate();
    const run = async () => {
      running += 1;
      most = Math.max(most, running);
      if (running === 3) full.open();
      await full.opened;
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      ended += 1;
    };
    stage.work(stage.first, name, run, { concurrency: 5 });
    stage.work(stage.second, name, run, { concurrency: 5 });
    await until(() => expect(ended).toBe(12), 30_000);
    expect(most).toBe(3);
  });

  register(
    'holds a queue to its rate over all workers',
    async () => {
      const name = stage.queueName();
      const queue = stage.first.queue(name);
      await queue.setGlobalRateLimit(5, 1_000);
      await queue.addBulk(
        Array.from({ length: 11 }, (_, index) => ({ name: 'x', data: {}, opts: { jobId: `x_${index}` } })),
      );
      const starts: number[] = [];
      const run = () => Promise.resolve(starts.push(Date.now()));
      stage.work(stage.first, name, run, { concurrency: 4 });
      stage.work(stage.second, name, run, { concurrency: 4 });
      await until(() => expect(starts).toHaveLength(11), 30_000);
      // The sixth and the eleventh had to wait for a new window each; a window begins at its first start.
      const from = starts[0] ?? 0;
      expect((starts[5] ?? 0) - from).toBeGreaterThan(900);
      expect((starts[10] ?? 0) - from).toBeGreaterThan(1_800);
    },
    60_000,
  );

  register('keeps a job for a year', async () => {
    const name = stage.queueName();
    const yearMs = 366 * 86_400_000;
    const started: unknown[] = [];
    stage.work(stage.second, name, (job) => Promise.resolve(started.push(job.id)));
    const queue = stage.first.queue(name);
    const job = await queue.add('x', {}, { jobId: 'far_1', delay: yearMs });
    await queue.add('x', {}, { jobId: 'near_1' });
    await until(() => expect(started).toEqual(['near_1']));
    expect(await job.getState()).toBe('delayed');
    const stored = await stage.second.queue(name).getJob('far_1');
    expect((stored?.timestamp ?? 0) + (stored?.delay ?? 0) - Date.now()).toBeGreaterThan(yearMs - 60_000);
    await job.changeDelay(1);
    await until(() => expect(started).toEqual(['near_1', 'far_1']));
  });
}

function uniqueTests(stage: Stage, register: Register): void {
  const add = async (name: string, ids: readonly string[], more: object = {}) => {
    const [added] = await stage.first.addMany([
      {
        queue: name,
        jobs: ids.map((id) => ({
          id,
          name: 'x',
          json: '{}',
          timestamp: Date.now(),
          options: { attempts: 1, backoff: { type: 'policy' }, deduplication: { id: 'key' }, ...more },
        })),
      },
    ]);
    return added ?? [];
  };

  register('answers twins of one bulk with the first of them', async () => {
    const name = stage.queueName();
    expect(await add(name, ['x_1', 'x_2', 'x_3'])).toEqual(['x_1', 'x_1', 'x_1']);
    expect(await stage.first.queue(name).getWaitingCount()).toBe(1);
  });

  register(
    'answers a unique key with its delayed, waiting or running job, and stores a hundred twins once',
    async () => {
      const name = stage.queueName();
      expect(await add(name, ['x_1'], { delay: 60_000 })).toEqual(['x_1']);
      const twins = await Promise.all(Array.from({ length: 100 }, (_, index) => add(name, [`x_${index + 2}`])));
      expect(new Set(twins.flat())).toEqual(new Set(['x_1']));
      const running = gate();
      const end = gate();
      stage.work(stage.second, name, async () => {
        running.open();
        await end.opened;
      });
      await (await stage.first.queue(name).getJob('x_1'))?.promote();
      await running.opened;
      expect(await add(name, ['x_200'])).toEqual(['x_1']);
      end.open();
      await until(async () => expect(await stage.first.queue(name).getCompletedCount()).toBe(1));
      expect(await add(name, ['x_201'])).toEqual(['x_201']);
    },
  );

  register('gives a unique key free when its job becomes a dead letter or is removed', async () => {
    const name = stage.queueName();
    const queue = stage.first.queue(name);
    await add(name, ['x_1']);
    const { worker } = stage.work(stage.second, name, () => Promise.reject(new Error('BAD_SOURCE: no')), {
      backoff: () => -1,
    });
    await until(async () => expect(await queue.getFailedCount()).toBe(1));
    await worker.close();
    expect(await add(name, ['x_2'])).toEqual(['x_2']);
    await (await queue.getJob('x_2'))?.remove();
    expect(await add(name, ['x_3'])).toEqual(['x_3']);
  });

  register('holds a unique key while its job is swept from a dead worker', async () => {
    const name = stage.queueName();
    await add(name, ['x_1']);
    const died = gate();
    const { worker } = stage.work(
      stage.second,
      name,
      async () => {
        died.open();
        // Its worker dies: no renewal, no answer.
        await new Promise(() => undefined);
      },
      { leaseMs: 1_000 },
    );
    await died.opened;
    await worker.close(true);
    expect(await add(name, ['x_2'])).toEqual(['x_1']);
    const ran: unknown[] = [];
    stage.work(stage.first, name, (job) => Promise.resolve(ran.push(job.id)), { leaseMs: 1_000 });
    await until(() => expect(ran).toEqual(['x_1']), 30_000);
    await until(async () => expect(await add(name, ['x_3'])).toEqual(['x_3']));
  });
}
