/** kill -9 in mid-job: of a worker, of everything, and of a process whose handler spins. Nothing accepted is lost, no recorded effect happens again. */
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { killServer, openStage, type Stage } from './support/fleet.ts';
import acting from './support/fleet-jobs/acting/job.ts';
import hasty from './support/fleet-jobs/hasty/job.ts';
import { redisIfHere } from './support/redis-database.ts';

// Every case starts two or three processes from source; waits inside end earlier and say what they waited for.
vi.setConfig({ testTimeout: 150_000 });

const stores = ['embedded', 'postgres', ...redisIfHere('crash')];

describe.each(stores)('a worker that is killed, on %s', (store) => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await openStage(store);
  });
  afterEach(() => stage.close());

  it('has its job run again by another: one effect, one result, no attempt spent', async () => {
    const { client } = await stage.open();
    const first = await stage.start();
    const { id } = await client.enqueue(acting, { act: 'slow' });
    await stage.started(id);
    first.child.kill('SIGKILL');
    await first.exited;
    await stage.start();
    expect(await stage.reaches(id, 'completed')).toMatchObject({
      interruptions: 1,
      result: { attempt: 1, fence: 2 },
    });
    expect(await stage.count('effect', id)).toBe(1);
  });

  it('finds the job that kills it, alone in a child, and spares its neighbour', async () => {
    const { client } = await stage.open();
    const first = await stage.start();
    const innocent = await client.enqueue(acting, { act: 'slow' });
    await stage.started(innocent.id);
    const poison = await client.enqueue(acting, { act: 'exit' });
    expect((await first.exited).code).toBe(70);
    const second = await stage.start();
    expect(await stage.reaches(poison.id, 'failed')).toMatchObject({
      interruptions: 1,
      error: { code: 'SANDBOX_CRASH' },
    });
    expect(await stage.reaches(innocent.id, 'completed')).toMatchObject({ result: { attempt: 1 } });
    expect(second.child.exitCode).toBeNull();
  });

  it('is ended by its deadline + 2 s by its own lease thread when a handler spins; the job is dead as TIMED_OUT', async () => {
    const { client } = await stage.open();
    const first = await stage.start();
    const { id } = await client.enqueue(hasty, { act: 'spin' }, { attempts: 1 });
    await stage.started(id);
    const claimedAt = Date.parse((await client.status(id))?.startedAt ?? '');
    const { signal, at } = await first.exited;
    expect(signal).toBe('SIGKILL');
    expect(first.output()).toContain('The main loop is blocked');
    expect(at - claimedAt).toBeGreaterThan(hasty.policy.timeoutMs);
    expect(at - claimedAt).toBeLessThan(hasty.policy.timeoutMs + 2_000);
    await stage.start();
    expect(await stage.reaches(id, 'failed')).toMatchObject({ error: { code: 'TIMED_OUT' } });
  });
});

describe('everything on the embedded store', () => {
  it('is killed in mid-work, its server included: every accepted job ends once; no effect repeats but one that was cut off', async () => {
    await using stage = Object.assign(await openStage('embedded'), {
      [Symbol.asyncDispose]: () => stage.close(),
    });
    // A producer of its own process: the store that dies is its store too.
    const worker = await stage.start({ QUEUES: 'acting' });
    const producer = await stage.start({ PRODUCE: '10000', QUEUES: 'hasty' });
    const accepted = () => [...producer.output().matchAll(/^accepted (\S+)$/gm)].map(([, id]) => id ?? '');
    const finished = () => worker.output().split('"outcome":"done"').length - 1;
    await expect.poll(finished, { timeout: 30_000 }).toBeGreaterThan(5);
    producer.child.kill('SIGKILL');
    worker.child.kill('SIGKILL');
    await killServer(join(stage.folder, 'queue'));
    await Promise.all([producer.exited, worker.exited]);
    await stage.start();
    const ids = accepted();
    expect(ids.length).toBeGreaterThan(5);
    for (const id of ids) {
      const { interruptions } = await stage.reaches(id, 'completed');
      const effects = await stage.count('effect', id);
      expect(effects).toBeGreaterThanOrEqual(1);
      // An effect that was cut off before its record said that it ended is repeated (`whenUnknown`), and only that one.
      expect(effects).toBeLessThanOrEqual(1 + interruptions);
    }
  });
});
