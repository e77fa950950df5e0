import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { type Job as StoredJob, UnrecoverableError } from 'bullmq';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type RedisServer, startRedis } from '../tests/support/redis-servers.ts';
import type { Backend } from './backend.ts';
import { redisControl } from './control-redis.ts';
import { openBackend } from './open.ts';
import { dial } from './redis-client.ts';
import { hangUp, openLines } from './redis-lines.ts';
import { parseRedisUrl } from './redis-url.ts';

const until = (check: () => unknown) => vi.waitFor(check, { timeout: 15_000, interval: 20 });
const tuning = { concurrency: 5, leaseMs: 1_000, backoff: () => 10 };

// A server of its own: these tests kill it.
describe.skipIf(process.env['TEST_REDIS_URL'] === undefined)('Redis alone', () => {
  const errors: Error[] = [];
  let backend: Backend;
  let server: RedisServer;
  beforeAll(async () => {
    // Every accepted write is on disk.
    server = await startRedis({ settings: { appendonly: 'yes', appendfsync: 'always' } });
    backend = await openBackend(`${server.url}/1`, { onError: (error) => errors.push(error) });
  });
  afterAll(async () => {
    await backend.close();
    await server.stop();
  });

  it('loads no PostgreSQL driver', () => {
    const loaded = Object.keys(createRequire(import.meta.url).cache);
    expect(loaded.filter((path) => path.endsWith('/ioredis/built/Redis.js'))).toHaveLength(1);
    expect(loaded.filter((path) => path.includes('/node_modules/pg/'))).toEqual([]);
  });

  it('keeps no process alive once it is closed', () => {
    const code = `
      import { openBackend } from ${JSON.stringify(new URL('open.ts', import.meta.url).href)};
      const backend = await openBackend('${server.url}/1', { onError: console.error });
      await backend.queue('closing').count();
      await backend.close();
      setImmediate(() => console.log(process.getActiveResourcesInfo().includes('Timeout')));`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
      encoding: 'utf8',
    });
    expect({ isKept: stdout.trim(), stderr }).toEqual({ isKept: 'false', stderr: '' });
  });

  it('reads a job whose payload is not JSON', async () => {
    const queue = backend.queue('malformed');
    await queue.add('x', {}, { jobId: 'x_1' });
    const client = await queue.getBackend().client;
    await client.hset('bull:malformed:x_1', { data: '{"half":' });
    const listed: StoredJob[] = await queue.getJobs(['waiting']);
    expect(listed.map((job): unknown => job.data)).toEqual([{ $malformed: true }]);
    const seen: unknown[] = [];
    const { worker } = backend.worker(
      'malformed',
      async (job) => {
        seen.push(job.data);
        await job.updateData({ $malformed: '{"half":' });
        throw new UnrecoverableError('MALFORMED: not JSON');
      },
      tuning,
    );
    const failed = once(worker, 'failed');
    const running = worker.run();
    await failed;
    expect(seen).toEqual([{ $malformed: true }]);
    expect(await queue.getFailedCount()).toBe(1);
    await worker.close();
    await running;
  });

  it('stores every accepted job, wakes its workers and hears control messages after a server died and came back', async () => {
    const queue = backend.queue('outage');
    const ran = new Set<string | undefined>();
    const { worker } = backend.worker('outage', (job) => Promise.resolve(ran.add(job.id)), tuning);
    const running = worker.run();
    const heard: string[] = [];
    const stopListening = backend.control.listen((message) => heard.push('id' in message ? message.id : message.kind));
    const say = (id: string) =>
      until(async () => {
        await backend.control.send({ kind: 'cancel', queue: 'outage', id });
        expect(heard).toContain(id);
      });
    await say('before');
    await server.kill();
    const adding = Promise.all(Array.from({ length: 50 }, (_, n) => queue.add('x', {}, { jobId: `x_${n}` })));
    await server.start();
    await adding;
    await until(() => expect(ran.size).toBe(50));
    await say('after');
    stopListening();
    await worker.close();
    await running;
  });

  it('fails an add within seconds while the server is gone, in words', async () => {
    const queue = backend.queue('gone');
    await queue.waitUntilReady();
    await server.kill();
    await expect(queue.add('x', {})).rejects.toThrow(/max retries per request|ECONNREFUSED|closed/i);
    await expect(backend.ping()).rejects.toThrow(/does not answer \(.*\); start it, or correct QUEUE_URL/);
    await server.start();
    await until(() => backend.ping());
  });

  it('runs the jobs of a worker, and reads events, that began while the server was gone', async () => {
    const other = await openBackend(`${server.url}/1`, { onError: (error) => errors.push(error) });
    await server.kill();
    const ran: unknown[] = [];
    const { worker } = other.worker('early', (job) => Promise.resolve(ran.push(job.id)), tuning);
    const running = worker.run();
    const reader = other.events('early');
    const read: string[] = [];
    reader.on('completed', ({ jobId }) => read.push(jobId));
    // Their first try has failed.
    await until(() => expect(errors.some((error) => error.message.includes('ECONNREFUSED'))).toBe(true));
    await server.start();
    await until(() => other.ping());
    await other.queue('early').add('x', {}, { jobId: 'x_early' });
    await until(() => expect({ ran, read }).toEqual({ ran: ['x_early'], read: ['x_early'] }));
    await other.close();
    await running;
  });

  it('uses a queue whose first use met a server that hung', async () => {
    const queue = backend.queue('hung');
    process.kill(server.pid(), 'SIGSTOP');
    await expect(queue.add('x', {})).rejects.toThrow('Command timed out');
    process.kill(server.pid(), 'SIGCONT');
    await until(() => backend.ping());
    await queue.add('x', {}, { jobId: 'x_hung' });
    // The first one may have been stored too: its answer did not come.
    expect(await queue.getJobState('x_hung')).toBe('waiting');
  });

  it('closes in the moment in which it hears the channel again, without a loose rejection', async () => {
    const loose: unknown[] = [];
    const note = (reason: unknown) => loose.push(reason);
    process.on('unhandledRejection', note);
    const address = parseRedisUrl(`${server.url}/1`);
    const { client } = await dial(address, (error) => errors.push(error));
    const lines = openLines(client, address, (error) => errors.push(error));
    const line = lines.open();
    const control = redisControl(
      client,
      1,
      () => line,
      (error) => errors.push(error),
    );
    const stopListening = control.listen(() => undefined);
    await control.send({ kind: 'cancel', queue: 'x', id: 'x_1' });
    await server.kill();
    // It has asked whether the server is ready: ioredis would subscribe again at the answer.
    const ask = line.info.bind(line);
    const asked = new Promise<void>((resolve) => {
      vi.spyOn(line, 'info').mockImplementationOnce((...args: unknown[]) => {
        const answer = Reflect.apply(ask, line, args);
        void control.close().then(resolve);
        return answer;
      });
    });
    const ended = once(line, 'end');
    await server.start();
    await asked;
    await ended;
    stopListening();
    await lines.close();
    await hangUp(client);
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', note);
    expect(loose).toEqual([]);
  });
});
