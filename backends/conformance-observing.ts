/** What is seen of jobs on every store, and that it stays small: log lines, progress, counts per minute. */
import { expect } from 'vitest';
import { type Register, type Stage, until } from './conformance-stage.ts';

const kept = 200;

export function observingTests(stage: Stage, register: Register): void {
  register(
    `keeps the last ${kept} log lines of a job that writes many, and its last progress`,
    async () => {
      const name = stage.queueName();
      const queue = stage.first.queue(name);
      // PostgreSQL refuses one of two lines that come together, so workers send one after the other, 200 an attempt.
      const [lines, atOnce] = stage.first.kind === 'redis' ? [10_000, 50] : [1_000, 1];
      stage.work(stage.second, name, async (job) => {
        job.opts.keepLogs = kept;
        for (let start = 0; start < lines; start += atOnce) {
          await Promise.all(Array.from({ length: atOnce }, (_, index) => job.log(`line ${start + index}`)));
          if (start % 50 === 0 || start + atOnce === lines)
            await job.updateProgress(Math.round((100 * (start + atOnce)) / lines));
        }
      });
      await queue.add('x', {}, { jobId: 'x_1' });
      await until(async () => expect(await queue.getCompletedCount()).toBe(1), 50_000);
      expect(await queue.getJob('x_1')).toMatchObject({ progress: 100 });
      const { logs } = await queue.getJobLogs('x_1');
      expect(logs).toHaveLength(kept);
      // Lines that are sent together may be stored in any order.
      const numbers = logs.map((line) => Number(line.slice(5)));
      expect(Math.min(...numbers)).toBeGreaterThanOrEqual(lines - kept - atOnce);
      expect(await queue.getJobLogs('x_1', 0, 9)).toMatchObject({ logs: logs.slice(0, 10) });
      await queue.remove('x_1');
      expect(await queue.getJobLogs('x_1')).toEqual({ logs: [], count: 0 });
    },
    60_000,
  );

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
