/** What a watch of jobs tells, whatever the store: one suite, run on each. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Backend } from '../backends/backend.ts';
import { createStage, gate, type Stage } from '../backends/conformance-stage.ts';
import { cancelJob } from './cancel.ts';
import { createIds } from './ids.ts';
import type { JobStatus } from './job-status.ts';
import { createJobWatch, type JobWatch } from './job-watch.ts';

export function jobWatchTests(name: string, open: (onError: (error: Error) => void) => Promise<Backend>): void {
  describe(`a watch of jobs: ${name}`, () => {
    const { stage, start, cleanUp, stop }: ReturnType<typeof createStage> & { readonly stage: Stage } =
      createStage(open);
    let watch: JobWatch;
    beforeAll(async () => {
      await start();
      watch = createJobWatch(stage.first);
    });
    afterAll(async () => {
      watch?.close();
      await cleanUp();
      await stop();
    });
    const add = (queue: string, options: object = {}): Promise<string> => {
      const id = createIds()(queue);
      const given = { attempts: 2, backoff: { type: 'policy' }, ...options };
      return stage.second.add(queue, { id, name: queue, json: '{}', timestamp: Date.now(), options: given });
    };
    /** Every status told, without repetition, and what ends the watch. */
    const follow = (queue: string, id: string) => {
      const seen: (JobStatus | undefined)[] = [];
      const stopWatch = watch.watch(
        queue,
        id,
        (status) => seen.push(status),
        (error) => expect.fail(String(error)),
      );
      const words = () => seen.map((status) => (status === undefined ? 'gone' : `${status.status} ${status.progress}`));
      const sees = (word: string) =>
        vi.waitFor(() => expect(words().join()).toContain(word), { timeout: 15_000, interval: 10 });
      return { seen, words, sees, stop: stopWatch };
    };

    test('tells how a job stands, every step it stays at, and its end', async () => {
      const queue = stage.queueName();
      const id = await add(queue, { delay: 300 });
      const told = follow(queue, id);
      await told.sees('delayed 0');
      const goOn = [gate(), gate()] as const;
      stage.work(stage.second, queue, async (job) => {
        await goOn[0].opened;
        await job.updateProgress(40);
        await goOn[1].opened;
        return { n: 1 };
      });
      await told.sees('active 0');
      goOn[0].open();
      await told.sees('active 40');
      goOn[1].open();
      await told.sees('completed');
      expect(told.seen.at(-1)).toMatchObject({ result: { n: 1 } });
      told.stop();
    });

    test('tells of retries and dead letters, and of a cancelled job', async () => {
      const queue = stage.queueName();
      const [failing, cancelled] = [await add(queue), await add(queue, { delay: 3_600_000 })];
      const [dead, gone] = [follow(queue, failing), follow(queue, cancelled)];
      stage.work(stage.second, queue, () => Promise.reject(new Error('BAD_SOURCE: no')));
      await dead.sees('failed 0');
      expect(dead.seen.at(-1)).toMatchObject({ error: { code: 'BAD_SOURCE' }, attempt: 2 });
      expect(await cancelJob(stage.second, queue, cancelled)).toBe('cancelled');
      await gone.sees('cancelled 0');
      dead.stop();
      gone.stop();
    });

    test('has one reader a queue, however many watch, and none that nobody needs', async () => {
      const queue = stage.queueName();
      const id = await add(queue, { delay: 3_600_000 });
      const reader = stage.first.events(queue);
      const before = reader.listenerCount('completed');
      const many = Array.from({ length: 200 }, () => follow(queue, id));
      for (const one of many) await one.sees('delayed 0');
      expect(reader.listenerCount('completed')).toBe(before + 1);
      expect(watch.size()).toBe(1);
      for (const one of many) one.stop();
      expect(reader.listenerCount('completed')).toBe(before);
      expect(watch.size()).toBe(0);
    });
  });
}
