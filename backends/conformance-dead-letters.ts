/** The repair bench on every store. */
import type { Job as StoredJob } from 'bullmq';
import { expect } from 'vitest';
import { gate, type Register, type Stage, until } from './conformance-stage.ts';
import { createDeadLetters, type DeadLetters } from './dead-letters.ts';

export function deadLetterTests(stage: Stage, register: Register): void {
  const bench = (...queues: string[]): DeadLetters =>
    createDeadLetters({
      backend: stage.first,
      queues,
      checkPayload: (_queue, payload) =>
        JSON.stringify(payload).includes('bad') ? 'to: expected an address' : undefined,
    });

  register('lists dead letters newest first, page by page, and groups them by signature', async () => {
    const name = stage.queueName();
    await die(stage, name, ['HTTP_503: took 12 ms', 'HTTP_503: took 7 ms', 'BAD_SOURCE: "a.png" is empty'], 'acme');
    await die(stage, name, ['HTTP_503: took 99 ms'], 'other');
    const letters = bench(name, stage.queueName());
    const first = await letters.list({}, { limit: 3 });
    expect(first.letters.map(({ id }) => id)).toEqual(['other_0', 'acme_2', 'acme_1']);
    expect(first.complete).toBe(true);
    const rest = await letters.list({}, { limit: 3, cursor: first.cursor ?? '' });
    expect(rest).toMatchObject({
      letters: [{ id: 'acme_0', code: 'HTTP_503', message: 'took 12 ms' }],
      complete: true,
    });
    expect(rest.cursor).toBeUndefined();
    const { groups } = await letters.groups({});
    expect(groups.map(({ signature, count }) => [signature, count])).toEqual([
      ['HTTP_503: took # ms', 3],
      ['BAD_SOURCE: … is empty', 1],
    ]);
    expect(groups[0]?.example.id).toBe('other_0');
    const ofAcme = await letters.list({ tenant: 'acme', signature: 'HTTP_503: took # ms' }, { limit: 9 });
    expect(ofAcme.letters.map(({ id }) => id)).toEqual(['acme_1', 'acme_0']);
    await expect(letters.list({}, { limit: 1, cursor: 'x' })).rejects.toThrow(RangeError);
  });

  register('shows one with its logs, and nothing for a job that is none', async () => {
    const name = stage.queueName();
    await die(stage, name, ['BAD_SOURCE: no']);
    await stage.first.queue(name).add('x', {}, { jobId: 'waiting_1' });
    const detail = await bench(name).inspect(name, 'acme_0');
    expect(detail?.job.failedReason).toBe('BAD_SOURCE: no');
    expect(detail?.logs).toEqual(['about to fail']);
    expect(detail?.history).toEqual({ run: 1, failures: [] });
    expect(await bench(name).inspect(name, 'waiting_1')).toBeUndefined();
    expect(await bench(name).inspect(name, 'unknown')).toBeUndefined();
  });

  register('puts one back to work once, with fresh attempts, a patch and its history', async () => {
    const name = stage.queueName();
    await die(stage, name, ['PAYLOAD_INVALID: to']);
    const dead: StoredJob | undefined = await stage.first.queue(name).getJob('acme_0');
    const letters = bench(name);
    const other = createDeadLetters({ backend: stage.second, queues: [name], checkPayload: () => undefined });
    expect(await letters.redrive(name, 'acme_0', { patch: { to: 'bad' } })).toMatchObject({
      state: 'refused',
      reason: 'PAYLOAD_INVALID',
      message: 'to: expected an address',
    });
    expect(await letters.redrive(name, 'acme_0', { dryRun: true })).toMatchObject({ state: 'redriven', run: 2 });
    expect(await stage.first.queue(name).getFailedCount()).toBe(1);
    const patch = { to: 'a@b.c', note: null };
    const answers = await Promise.all(
      [letters, other, letters, other].map((side) => side.redrive(name, 'acme_0', { patch })),
    );
    expect(answers.filter(({ state }) => state === 'redriven')).toEqual([
      { state: 'redriven', id: 'acme_0', queue: name, run: 2 },
    ]);
    expect(answers.filter((answer) => answer.state === 'refused').every(({ reason }) => reason === 'GONE')).toBe(true);
    const started = gate<StoredJob>();
    const { worker } = stage.work(stage.second, name, (job) => Promise.resolve(started.open(job)));
    const completed = new Promise((resolve) => worker.once('completed', resolve));
    const job = await started.opened;
    expect(job.data).toEqual({ to: 'a@b.c', keep: 1 });
    // The fence goes on, the attempts begin anew.
    expect([job.attemptsStarted, job.attemptsMade]).toEqual([(dead?.attemptsStarted ?? 0) + 1, 0]);
    await completed;
    const [record] = await stage.first.records.get([`run:${name}:acme_0`]);
    expect(JSON.parse(record?.value ?? '')).toMatchObject({
      run: 2,
      failures: [{ code: 'PAYLOAD_INVALID', message: 'to', at: dead?.finishedOn }],
    });
  });

  register('shows a job again that failed again', async () => {
    const name = stage.queueName();
    await die(stage, name, ['BAD_SOURCE: no']);
    const letters = bench(name);
    const [before] = (await letters.list({}, { limit: 1 })).letters;
    expect(await letters.redrive(name, 'acme_0')).toMatchObject({ state: 'redriven' });
    expect((await letters.list({}, { limit: 1 })).letters).toEqual([]);
    const { worker } = stage.work(stage.second, name, () => Promise.reject(new Error('NO_SPACE: full')));
    await new Promise((resolve) => worker.once('failed', resolve));
    const fresh = bench(name);
    const [after] = (await fresh.list({}, { limit: 1 })).letters;
    expect(after).toMatchObject({ id: 'acme_0', code: 'NO_SPACE' });
    expect(after?.failedAt).toBeGreaterThanOrEqual(before?.failedAt ?? Number.NaN);
    expect((await fresh.inspect(name, 'acme_0'))?.history).toMatchObject({
      run: 2,
      failures: [{ code: 'BAD_SOURCE' }],
    });
  });

  register('refuses to redrive beside a newer job with the same unique key', async () => {
    const name = stage.queueName();
    const queue = stage.first.queue(name);
    await die(stage, name, ['BAD_SOURCE: no'], 'acme', { deduplication: { id: 'key' } });
    await queue.add('x', {}, { jobId: 'twin_1', deduplication: { id: 'key' } });
    expect(await bench(name).redrive(name, 'acme_0')).toMatchObject({ state: 'refused', reason: 'NEWER_TWIN' });
    await (await queue.getJob('twin_1'))?.remove();
    expect(await bench(name).redrive(name, 'acme_0')).toMatchObject({ state: 'redriven' });
  });

  register('redrives and discards what a filter names, and only that', async () => {
    const name = stage.queueName();
    await die(
      stage,
      name,
      Array.from({ length: 30 }, (_, n) => (n % 3 === 0 ? 'NETWORK: reset' : `HTTP_500: ${n}`)),
    );
    const letters = bench(name);
    expect(await letters.redriveMany({ code: 'NETWORK' }, { dryRun: true })).toEqual({
      matched: 10,
      done: 10,
      refused: [],
      complete: true,
    });
    expect(await stage.first.queue(name).getFailedCount()).toBe(30);
    expect(await letters.redriveMany({ code: 'NETWORK' })).toMatchObject({ matched: 10, done: 10, refused: [] });
    expect(await stage.first.queue(name).getWaitingCount()).toBe(10);
    expect(await letters.discardMany({ ids: ['acme_1', 'acme_2'] }, { dryRun: true })).toMatchObject({
      matched: 2,
      done: 2,
    });
    expect(await letters.discardMany({ ids: ['acme_1', 'acme_2', 'acme_0'] })).toMatchObject({ matched: 2, done: 2 });
    expect(await letters.discard(name, 'acme_1')).toBe(false);
    expect(await stage.first.queue(name).getFailedCount()).toBe(18);
    expect(await letters.redriveMany({ code: 'NONE' })).toMatchObject({ matched: 0, done: 0, complete: true });
  });
}

/** Makes one dead letter per reason, one after the other, with ids `<tenant>_<n>`. */
async function die(
  stage: Stage,
  name: string,
  reasons: readonly string[],
  tenant = 'acme',
  options = {},
): Promise<void> {
  const queue = stage.first.queue(name);
  const { worker } = stage.work(stage.second, name, async (job) => {
    await job.log('about to fail');
    throw new Error(reasons[Number(job.id?.split('_')[1])]);
  });
  const before = await queue.getFailedCount();
  for (const n of reasons.keys()) {
    const opts = { ...options, jobId: `${tenant}_${n}`, jobfleet: { tenant, v: 1 } };
    await queue.add('x', { to: 'nobody', keep: 1, note: 'x' }, opts);
  }
  await until(async () => expect(await queue.getFailedCount()).toBe(before + reasons.length));
  await worker.close();
}
