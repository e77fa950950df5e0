/** What is seen of jobs on every store, and that it stays small: log lines, progress, counts per minute. */
import { expect } from 'vitest';
import { type Register, type Stage, until } from './conformance-stage.ts';

const kept = 200;
const lines = 10_000;

export function observingTests(stage: Stage, register: Register): void {
  register(
    `keeps the last ${kept} of ${lines} log lines of a job, in order, and its last progress`,
    async () => {
      const name = stage.queueName();
      const queue = stage.first.queue(name);
      const atOnce = 50;
      stage.work(stage.second, name, async (job) => {
        job.opts.keepLogs = kept;
        for (let start = 0; start < lines; start += atOnce) {
          await Promise.all(Array.from({ length: atOnce }, (_, index) => job.log(`line ${start + index}`)));
          await job.updateProgress(Math.round((100 * (start + atOnce)) / lines));
        }
      });
      await queue.add('x', {}, { jobId: 'x_1' });
      await until(async () => expect(await queue.getCompletedCount()).toBe(1), 50_000);
      expect(await queue.getJob('x_1')).toMatchObject({ progress: 100 });
      const { logs } = await queue.getJobLogs('x_1');
      expect(logs).toEqual(Array.from({ length: kept }, (_, index) => `line ${lines - kept + index}`));
      expect(await queue.getJobLogs('x_1', 0, 9)).toMatchObject({ logs: logs.slice(0, 10) });
      await queue.remove('x_1');
      expect(await queue.getJobLogs('x_1')).toEqual({ logs: [], count: 0 });
    },
    60_000,
  );

  register('keeps more lines at once than stay, and those of several jobs apart', async () => {
    const name = stage.queueName();
    const queue = stage.first.queue(name);
    const counts: number[][] = [];
    stage.work(
      stage.second,
      name,
      async (job) => {
        if (job.id === 'x_1') job.opts.keepLogs = 20;
        counts.push(await Promise.all(Array.from({ length: 500 }, (_, n) => job.log(`${job.id} ${n}`))));
      },
      { concurrency: 2 },
    );
    const jobs = [1, 2].map((n) => ({ name: 'x', data: {}, opts: { jobId: `x_${n}` } }));
    await queue.addBulk(jobs);
    await until(async () => expect(await queue.getCompletedCount()).toBe(2));
    expect((await queue.getJobLogs('x_1')).logs).toEqual(Array.from({ length: 20 }, (_, n) => `x_1 ${480 + n}`));
    expect((await queue.getJobLogs('x_2')).logs).toEqual(Array.from({ length: 500 }, (_, n) => `x_2 ${n}`));
    expect(new Set(counts.map((of) => of.at(-1)))).toEqual(new Set([20, 500]));
  });

  register('refuses a line that cannot be stored, and keeps those that came with it', async () => {
    const name = stage.queueName();
    const queue = stage.first.queue(name);
    let answers: string[] = [];
    const { worker } = stage.work(stage.second, name, async () => {
      const backend = worker.getBackend();
      const given = [
        ['x_1', 'first'],
        ['x_1', 'second'],
        ['x_gone', 'lost'],
        // No text of PostgreSQL, and one of Redis.
        ['x_1', 'zero \0'],
        ['x_1', 'last'],
      ] as const;
      const said = await Promise.allSettled(given.map(([id, line]) => backend.addLog(id, line)));
      answers = said.map(({ status }) => status);
    });
    await queue.add('x', {}, { jobId: 'x_1' });
    await until(async () => expect(await queue.getCompletedCount()).toBe(1));
    const zero = stage.first.kind === 'redis' ? 'fulfilled' : 'rejected';
    expect(answers).toEqual(['fulfilled', 'fulfilled', 'rejected', zero, 'fulfilled']);
    const { logs } = await queue.getJobLogs('x_1');
    expect(logs.filter((line) => line !== 'zero \0')).toEqual(['first', 'second', 'last']);
  });

  register('counts delayed jobs whose time has passed, for the gauge', async () => {
    const queue = stage.first.queue(stage.queueName());
    for (const delay of [1, 1, 3_600_000]) await queue.add('x', {}, { delay });
    await until(async () => expect(await queue.getDelayedCount(Date.now())).toBe(2));
    expect(await queue.getDelayedCount()).toBe(3);
  });

  register('counts what completed and failed per minute, for charts', async () => {
    const name = stage.queueName();
    const queue = stage.first.queue(name);
    const failsEvery = 5;
    stage.work(
      stage.second,
      name,
      (job) => (Number(job.id?.slice(2)) % failsEvery === 0 ? Promise.reject(new Error('BAD: no')) : Promise.resolve()),
      { concurrency: 5, backoff: () => -1 },
    );
    const jobs = Array.from({ length: 30 }, (_, n) => ({ name: 'x', data: {}, opts: { jobId: `x_${n}` } }));
    await queue.addBulk(jobs);
    await until(async () => {
      const [completed, failed] = [await queue.getMetrics('completed'), await queue.getMetrics('failed')];
      expect([completed.meta.count, failed.meta.count]).toEqual([24, 6]);
    });
    const { data, count } = await queue.getMetrics('completed', 0, 1_439);
    expect(data).toHaveLength(count);
    expect(count).toBeLessThanOrEqual(1_440);
    expect(data.every((minute) => minute >= 0)).toBe(true);
  });
}
