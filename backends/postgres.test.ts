import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Backend } from './backend.ts';
import { openBackend } from './open.ts';
import { openPool, withOptions } from './postgres-pool.ts';

const errors: Error[] = [];
let backend: Backend;
let url: string;
beforeAll(async () => {
  backend = await openBackend('embedded:memory', { onError: (error) => errors.push(error) });
  url = backend.leaseConnection.url;
});
afterAll(() => backend.close());

const until = (check: () => unknown) => vi.waitFor(check, { timeout: 15_000, interval: 20 });

/** Ends every other connection to this database, as a restart of the server would. */
async function cutConnections(): Promise<void> {
  const pool = openPool(url, { max: 1, onError: () => undefined });
  await pool.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
  );
  await pool.end();
}

describe('the pool', () => {
  it('runs a deadlocked statement again', async () => {
    const pool = openPool(url, { max: 4, deadlockTimeoutMs: 50, onError: (error) => errors.push(error) });
    await pool.query('CREATE TABLE public.pair (id int PRIMARY KEY, n int NOT NULL)');
    await pool.query('INSERT INTO public.pair VALUES (1, 0), (2, 0)');
    await pool.query(`CREATE FUNCTION public.both(a int, b int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
      UPDATE public.pair SET n = n + 1 WHERE id = a; PERFORM pg_sleep(0.1);
      UPDATE public.pair SET n = n + 1 WHERE id = b; END $$`);
    const swap = (a: number, b: number) => pool.query('SELECT public.both($1, $2)', [a, b]);
    await Promise.all([swap(1, 2), swap(2, 1), swap(1, 2), swap(2, 1)]);
    const { rows } = await pool.query<{ n: number }>('SELECT n FROM public.pair');
    expect(rows).toEqual([{ n: 4 }, { n: 4 }]);
    await pool.end();
  });

  it('reports a refused statement at once', async () => {
    const pool = openPool(url, { max: 1, onError: (error) => errors.push(error) });
    await expect(pool.query('SELECT nonsense')).rejects.toMatchObject({ code: '42703' });
    await pool.end();
  });

  it('outlives the loss of a connection that somebody holds', async () => {
    const pool = openPool(url, { max: 1, onError: (error) => errors.push(error) });
    const client = await pool.connect();
    const ended = new Promise<void>((resolve) => void client.on('end', resolve));
    const sleeping = client.query('SELECT pg_sleep(60)');
    const cut = cutConnections();
    await expect(sleeping).rejects.toMatchObject({ code: '57P01' });
    await Promise.all([cut, ended]);
    client.release(true);
    await pool.query('SELECT 1');
    await pool.end();
  });

  it('keeps the server options of the address', () => {
    expect(withOptions('postgres://a/b?options=-c%20work_mem%3D8MB&sslmode=require', '-c x=y')).toEqual({
      connectionString: 'postgres://a/b?sslmode=require',
      options: '-c work_mem=8MB -c x=y',
    });
  });
});

describe('when every connection is lost', () => {
  it('stores every job, wakes its worker, hears control messages and goes on counting', async () => {
    const queue = backend.queue('outage');
    const ran = new Set<string | undefined>();
    const { worker } = backend.worker('outage', (job) => Promise.resolve(ran.add(job.id)), {
      concurrency: 5,
      leaseMs: 1_000,
      backoff: () => 10,
    });
    const running = worker.run();
    const heard: string[] = [];
    const stopListening = backend.control.listen((message) => heard.push(message.kind === 'cancel' ? message.id : ''));
    const say = (id: string) =>
      until(async () => {
        await backend.control.send({ kind: 'cancel', queue: 'outage', id });
        expect(heard).toContain(id);
      });
    await say('before');
    const adds = Array.from({ length: 100 }, async (_, n) => {
      if (n === 50) await cutConnections();
      await queue.add('x', {}, { jobId: `x_${n}` });
    });
    await Promise.all(adds);
    await until(() => expect(ran.size).toBe(100));
    await say('after');
    await cutConnections();
    await queue.add('x', {}, { jobId: 'x_100' });
    await until(() => expect(ran.size).toBe(101));
    await until(async () => expect(await queue.getCompletedCount()).toBe(101));
    expect(await queue.getFailedCount()).toBe(0);
    stopListening();
    await worker.close();
    await running;
  });
});

it('loads no Redis client', async () => {
  // In a process of its own: this one has run other files before.
  const script = `
    import { createRequire } from 'node:module';
    import { openBackend } from ${JSON.stringify(new URL('./open.ts', import.meta.url).href)};
    const backend = await openBackend('embedded:memory', { onError: console.error });
    await backend.close();
    console.log(JSON.stringify(Object.keys(createRequire(${JSON.stringify(import.meta.url)}).cache)));`;
  const args = ['--import', 'tsx', '--input-type=module', '-e', script];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const loaded: string[] = JSON.parse(stdout);
  expect(loaded.filter((path) => path.endsWith('/pg/lib/client.js'))).toHaveLength(1);
  expect(loaded.filter((path) => path.endsWith('/ioredis/built/Redis.js'))).toEqual([]);
});

it('counts finished jobs for the charts without a statement per job', async () => {
  const queue = backend.queue('charts');
  const { worker } = backend.worker('charts', () => Promise.resolve(), {
    concurrency: 5,
    leaseMs: 30_000,
    backoff: () => -1,
  });
  const running = worker.run();
  await queue.addBulk(Array.from({ length: 40 }, (_, n) => ({ name: 'x', data: {}, opts: { jobId: `x_${n}` } })));
  await until(async () => expect((await queue.getMetrics('completed')).meta.count).toBe(40));
  await worker.close();
  await running;
});
