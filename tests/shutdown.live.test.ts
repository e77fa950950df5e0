/** SIGTERM of a real worker process: it hands back what it holds and exits 0; a second signal ends it at once. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openStage, type Stage } from './support/fleet.ts';
import acting from './support/fleet-jobs/acting/job.ts';
import { redisIfHere } from './support/redis-database.ts';

// Every case starts two or three processes from source; waits inside end earlier and say what they waited for.
vi.setConfig({ testTimeout: 150_000 });

const stores = ['embedded', 'postgres', ...redisIfHere('shutdown')];

describe.each(stores)('a worker that is told to stop, on %s', (store) => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await openStage(store);
  });
  afterEach(() => stage.close());

  it('hands its jobs back without an attempt, exits 0, leaves no folder, and another worker runs them', async () => {
    const { client } = await stage.open();
    const worker = await stage.start({ SHUTDOWN_MS: '1500' });
    const jobs = [await client.enqueue(acting, { act: 'slow' }), await client.enqueue(acting, { act: 'deaf' })];
    for (const { id } of jobs) await stage.started(id);
    const toldAt = Date.now();
    worker.child.kill('SIGTERM');
    const { code, at } = await worker.exited;
    expect(worker.output()).toContain('"handedBack":2');
    expect(code).toBe(0);
    expect(at - toldAt).toBeLessThan(4_000);
    for (const { id } of jobs)
      expect(await stage.reaches(id, 'waiting', 'delayed')).toMatchObject({ attempt: 0, interruptions: 1 });
    expect(await folders(stage)).toEqual([]);
    await stage.start();
    const [slow] = jobs;
    expect(await stage.reaches(slow?.id ?? '', 'completed')).toMatchObject({ result: { attempt: 1 } });
    expect(await stage.count('effect', slow?.id ?? '')).toBe(1);
  });

  it('lets a job finish that ends before the deadline', async () => {
    const { client } = await stage.open();
    const worker = await stage.start({ SHUTDOWN_MS: '20000' });
    const { id } = await client.enqueue(acting, { act: 'effect' });
    await stage.reaches(id, 'active', 'completed');
    worker.child.kill('SIGTERM');
    expect((await worker.exited).code).toBe(0);
    expect(await stage.reaches(id, 'completed', 'waiting', 'delayed')).toMatchObject({ interruptions: 0 });
  });

  it('exits at once at a second signal; the job comes back by its lease', async () => {
    const { client } = await stage.open();
    const worker = await stage.start({ SHUTDOWN_MS: '60000' });
    const { id } = await client.enqueue(acting, { act: 'slow' });
    await stage.started(id);
    worker.child.kill('SIGTERM');
    await expect.poll(worker.output).toContain('shutting down');
    worker.child.kill('SIGTERM');
    expect((await worker.exited).code).toBe(143);
    await stage.start();
    expect(await stage.reaches(id, 'completed')).toMatchObject({ interruptions: 1, result: { attempt: 1 } });
  });
});

async function folders(stage: Stage): Promise<string[]> {
  const base = join(stage.folder, `jobfleet-${process.getuid?.() ?? 'attempts'}`);
  return (await readdir(base)).filter((name) => name.startsWith('job-'));
}
