/** Rewriting a job that waits, on every store: the claim and the change never miss each other. */
import { expect } from 'vitest';
import { type Register, type Stage, until } from './conformance-stage.ts';

const facts = { tenant: 'acme', v: 1 } as const;

export function editTests(stage: Stage, register: Register): void {
  register('rewrites payload and facts of a job that waits or is delayed, and nothing else of it', async () => {
    const queue = stage.first.queue(stage.queueName());
    for (const delay of [0, 60_000]) {
      const jobId = `x_${delay}`;
      await queue.add('x', { n: 1, empty: [] }, { jobId, delay, attempts: 7, jobfleet: facts } as object);
      const before = await queue.getJob(jobId);
      const level = 'high';
      const change = { attemptsStarted: 0, json: '{"n":2,"empty":[]}', facts: { ...facts, level } as const };
      expect(await stage.second.rewrite(queue.name, jobId, change)).toBe(true);
      const after = await queue.getJob(jobId);
      expect(after?.data).toEqual({ n: 2, empty: [] });
      expect(after?.opts).toEqual({ ...before?.opts, jobfleet: { ...facts, level } });
      expect(after).toMatchObject({ delay, timestamp: before?.timestamp });
    }
  });

  register('rewrites no job that was claimed, has ended or is gone', async () => {
    const name = stage.queueName();
    const queue = stage.first.queue(name);
    await queue.add('x', { n: 1 }, { jobId: 'x_1' });
    const change = (attemptsStarted: number) => stage.first.rewrite(name, 'x_1', { attemptsStarted, json: '{"n":2}' });
    const answers: boolean[] = [];
    stage.work(stage.second, name, async () => {
      answers.push(await change(0));
    });
    await until(async () => expect(await queue.getCompletedCount()).toBe(1));
    answers.push(await change(0), await change(1));
    expect(answers).toEqual([false, false, false]);
    expect(await queue.getJob('x_1')).toMatchObject({ data: { n: 1 } });
    expect(await stage.first.rewrite(name, 'x_9', { attemptsStarted: 0, json: '{}' })).toBe(false);
  });

  register('runs what the last successful rewrite said, however claims and rewrites race', async () => {
    const name = stage.queueName();
    const queue = stage.first.queue(name);
    const ran = new Map<string, unknown>();
    const ids = Array.from({ length: 60 }, (_, index) => `x_${index}`);
    await queue.addBulk(ids.map((jobId) => ({ name: 'x', data: { n: 1 }, opts: { jobId } })));
    stage.work(stage.second, name, (job) => Promise.resolve(ran.set(job.id ?? '', job.data)), { concurrency: 4 });
    const answers = await Promise.all(
      ids.toReversed().map((id) => stage.first.rewrite(name, id, { attemptsStarted: 0, json: '{"n":2}' })),
    );
    await until(() => expect(ran.size).toBe(ids.length));
    const expected = new Map(ids.toReversed().map((id, index) => [id, { n: answers[index] === true ? 2 : 1 }]));
    expect(ran).toEqual(expected);
  });
}
