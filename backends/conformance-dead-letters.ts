/** The repair bench on every store. */
import type { Job as StoredJob } from 'bullmq';
import { expect } from 'vitest';
import { cancelKey, putCancel } from './cancel-record.ts';
import { gate, type Register, type Stage, until } from './conformance-stage.ts';
import { createDeadLetters, type DeadLetters } from './dead-letters.ts';

export function deadLetterTests(stage: Stage, register: Register): void {
  const bench = (...queues: string[]): DeadLetters =>
    createDeadLetters({
      backend: stage.first,
      queues,
      checkPayload: refuseBad,
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
    expect(detail?.letter).toMatchObject({ id: 'acme_0', code: 'BAD_SOURCE', message: 'no', attempts: 1 });
    expect(detail?.logs).toEqual(['about to fail']);
    expect(detail?.evidence).toEqual({
      run: 1,
      failures: [],
      interruptions: 0,
      causes: [],
      deaths: 0,
      suspect: false,
      fence: 1,
      effects: [],
      effectApplied: 'no',
    });
    expect(await bench(name).inspect(name, 'waiting_1')).toBeUndefined();
    expect(await bench(name).inspect(name, 'unknown')).toBeUndefined();
  });

  register(
    'shows what happened to it: interruptions with their causes, deaths, effects that were begun or done',
    async () => {
      const name = stage.queueName();
      await die(stage, name, ['SANDBOX_CRASH: gone', 'SANDBOX_CRASH: gone']);
      const { records } = stage.first;
      const causes = [
        { cause: 'deploy', at: 1_700_000_000_000 },
        { cause: 'crash', at: 1_700_000_060_000 },
      ];
      const run = { causes, interrupted: 2, deaths: 3, suspect: true, more: 'kept' };
      await records.putIfAbsent(`run:${name}:acme_0`, JSON.stringify(run), 60_000);
      // Every character that a store could take for a pattern.
      const keys = ['mail', 'push/1:*?[^a]\\_%'];
      await records.putIfAbsent(`once:${name}:acme_0:${keys[1]}`, '{"state":"begun","fence":2}', 60_000);
      const inspect = async (id: string) => (await bench(name).inspect(name, id))?.evidence;
      expect(await inspect('acme_0')).toMatchObject({ effectApplied: 'perhaps' });
      await records.putIfAbsent(`once:${name}:acme_0:${keys[0]}`, '{"state":"done","fence":1,"result":7}', 60_000);
      await records.putIfAbsent(`once:${name}:acme_01:mail`, '{"state":"done","fence":1}', 60_000);
      expect(await inspect('acme_0')).toMatchObject({
        interruptions: 2,
        causes,
        deaths: 3,
        suspect: true,
        effects: [
          { key: keys[0], state: 'done', fence: 1 },
          { key: keys[1], state: 'begun', fence: 2 },
        ],
        effectApplied: 'yes',
      });
      expect(await inspect('acme_1')).toMatchObject({ interruptions: 0, effects: [], effectApplied: 'no' });
    },
  );

  register('forgets a cancel that came too late when it is redriven', async () => {
    const name = stage.queueName();
    await die(stage, name, ['BAD_SOURCE: no', 'BAD_SOURCE: no']);
    const { records } = stage.first;
    for (const id of ['acme_0', 'acme_1']) await putCancel(records, name, id, {});
    expect(await bench(name).redrive(name, 'acme_0', { dryRun: true })).toMatchObject({ state: 'redriven' });
    expect(await records.get([cancelKey(name, 'acme_0')])).toHaveLength(1);
    expect(await bench(name).redrive(name, 'acme_0')).toMatchObject({ state: 'redriven' });
    expect(await bench(name).discard(name, 'acme_1')).toBe(true);
    expect(await records.get([cancelKey(name, 'acme_0'), cancelKey(name, 'acme_1')])).toEqual([undefined, undefined]);
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
    expect((await fresh.inspect(name, 'acme_0'))?.evidence).toMatchObject({
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

  register('goes on behind those it refused, and leaves alone what failed meanwhile', async () => {
    const name = stage.queueName();
    const many = 45;
    await die(
      stage,
      name,
      Array.from({ length: many }, () => 'BAD_SOURCE: no'),
    );
    for (let n = 0; n < 30; n += 1) {
      const job: StoredJob | undefined = await stage.first.queue(name).getJob(`acme_${n}`);
      await job?.updateData({ to: 'bad' });
    }
    const letters = createDeadLetters({
      backend: stage.first,
      queues: [name],
      checkPayload: refuseBad,
      callMs: 0,
    });
    const refused = new Set<string>();
    let cursor: string | undefined;
    let done = 0;
    let calls = 0;
    do {
      const report = await letters.redriveMany({ queue: name }, { cursor });
      expect(report.complete).toBe(report.cursor === undefined);
      for (const { id } of report.refused) {
        expect(refused.has(id)).toBe(false);
        refused.add(id);
      }
      done += report.done;
      calls += 1;
      if (calls === 1) await die(stage, name, ['BAD_SOURCE: later'], 'other');
      ({ cursor } = report);
    } while (cursor !== undefined);
    expect([calls, refused.size, done]).toEqual([3, 30, 15]);
    expect(await stage.first.queue(name).getFailedCount()).toBe(31);
    await expect(letters.discardMany({ queue: name }, { cursor: 'x' })).rejects.toThrow(RangeError);
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
      cursor: undefined,
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

const refuseBad = (_queue: string, payload: unknown): string | undefined =>
  JSON.stringify(payload).includes('bad') ? 'to: expected an address' : undefined;

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
