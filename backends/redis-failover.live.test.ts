import type { Worker } from 'bullmq';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { RedisNode } from '../tests/support/redis-servers.ts';
import { startCluster, startSentinels } from '../tests/support/redis-sets.ts';
import type { Backend } from './backend.ts';
import { openLeaseRenewer } from './lease-renewer.ts';
import { openBackend } from './open.ts';

const isRedisHere = process.env['TEST_REDIS_URL'] !== undefined;
const until = (check: () => unknown) => vi.waitFor(check, { timeout: 45_000, interval: 50 });
const tuning = { concurrency: 10, leaseMs: 5_000, backoff: () => 10 };
const queueName = 'failover';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp();
});

/** Two processes of a fleet: `producer` adds and watches, `worker` runs. Both complain into `errors`. */
async function openFleet(url: string) {
  const errors: Error[] = [];
  const onError = (error: Error) => void errors.push(error);
  const producer = await openBackend(url, { onError });
  cleanUps.push(() => producer.close());
  const worker = await openBackend(url, { onError });
  cleanUps.push(() => worker.close());
  const ran = new Map<string, number>();
  const loop = worker.worker(
    queueName,
    (job) => Promise.resolve(void ran.set(job.id ?? '', (ran.get(job.id ?? '') ?? 0) + 1)),
    tuning,
  );
  const running = loop.worker.run();
  cleanUps.push(async () => {
    await loop.worker.close();
    await running;
  });
  return { producer, worker, loop: loop.worker, ran, errors };
}

interface Load {
  readonly accepted: Set<string>;
  readonly refused: string[];
  /** Longest time between two accepted adds. */
  readonly longestGapMs: () => number;
  stop(): Promise<void>;
}

/** Four callers, each adding one job after the other. */
function startLoad(backend: Backend): Load {
  const accepted = new Set<string>();
  const refused: string[] = [];
  const stopping = new AbortController();
  let n = 0;
  let lastAt = Date.now();
  let gapMs = 0;
  const caller = async () => {
    while (!stopping.signal.aborted) {
      n += 1;
      const id = `${queueName}_${n}`;
      try {
        await backend.queue(queueName).add('x', {}, { jobId: id });
        accepted.add(id);
        gapMs = Math.max(gapMs, Date.now() - lastAt);
        lastAt = Date.now();
      } catch (error) {
        refused.push(String(error));
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const callers = Array.from({ length: 4 }, caller);
  return {
    accepted,
    refused,
    longestGapMs: () => gapMs,
    stop: async () => {
      stopping.abort();
      await Promise.all(callers);
    },
  };
}

/** Everything that waits on a connection of its own: events, control messages, idle workers, renewals. */
async function expectAllAwake({ producer, worker, loop }: { producer: Backend; worker: Backend; loop: Worker }) {
  const told: string[] = [];
  const stop = worker.control.listen((message) => told.push('id' in message ? message.id : message.kind));
  await until(async () => {
    await producer.control.send({ kind: 'cancel', queue: queueName, id: 'hello' });
    expect(told).toContain('hello');
  });
  stop();
  const events = producer.events(queueName);
  const seen = new Set<string>();
  const note = ({ jobId }: { jobId: string }) => void seen.add(jobId);
  events.on('completed', note);
  let n = 0;
  await until(async () => {
    n += 1;
    await producer.queue(queueName).add('x', {}, { jobId: `awake_${n}` });
    expect(seen.size).toBeGreaterThan(0);
  });
  events.off('completed', note);
  expect(loop.isRunning()).toBe(true);
  const put = await producer.records.putIfAbsent(`after-${n}`, '1', 60_000);
  expect(put.stored).toBe(true);
}

async function lostOf(producer: Backend, accepted: ReadonlySet<string>): Promise<string[]> {
  const states = await Promise.all(
    Array.from(accepted, async (id) => [id, await producer.queue(queueName).getJobState(id)] as const),
  );
  return states.filter(([, state]) => state !== 'completed').map(([id]) => id);
}

/** What was counted, printed: Redis may lose what it acknowledged, and the figures say how much it was. */
function report(what: string, load: Load, ran: ReadonlyMap<string, number>, lost: readonly string[]): void {
  const twice = [...ran.values()].filter((times) => times > 1).length;
  const neverRan = [...load.accepted].filter((id) => !ran.has(id)).length;
  process.stdout.write(
    `${what}: accepted ${load.accepted.size}, refused ${load.refused.length}, longest gap ${load.longestGapMs()} ms, ` +
      `without a record ${lost.length}, never run ${neverRan}, run twice ${twice}\n`,
  );
}

async function drive(url: string, what: string, fail: () => Promise<void>) {
  const fleet = await openFleet(url);
  const { producer, ran } = fleet;
  await expectAllAwake(fleet);
  const renewer = await openLeaseRenewer(fleet.worker.leaseConnection);
  cleanUps.push(() => renewer.close());
  expect(await renewer.extend(queueName, ['nobody'], ['token'], 1_000)).toEqual(['nobody']);
  const load = startLoad(producer);
  await until(() => expect(load.accepted.size).toBeGreaterThan(50));
  await fail();
  const before = load.accepted.size;
  await until(() => expect(load.accepted.size).toBeGreaterThan(before + 50));
  await load.stop();
  await until(async () => {
    const {
      waiting = 0,
      active = 0,
      delayed = 0,
    } = await producer.queue(queueName).getJobCounts('waiting', 'active', 'delayed');
    expect(waiting + active + delayed).toBe(0);
  });
  await expectAllAwake(fleet);
  await until(async () => expect(await renewer.extend(queueName, ['nobody'], ['token'], 1_000)).toEqual(['nobody']));
  const lost = await lostOf(producer, load.accepted);
  report(what, load, ran, lost);
  return { load, lost, ...fleet };
}

describe.skipIf(!isRedisHere)('a fail-over', () => {
  it('of a dead primary with Sentinels: jobs go on, everything that waits wakes up', async () => {
    const set = await startSentinels();
    cleanUps.push(() => set.stop());
    const primary = await set.primary();
    const { load, lost } = await drive(set.url, 'Sentinel, primary killed', async () => {
      await primary.kill();
      await set.failedOver(primary);
    });
    // Asynchronous replication: what the replica had not yet got is gone. The rest ran.
    expect(lost.length).toBeLessThan(load.accepted.size / 10);
    expect(load.longestGapMs()).toBeLessThan(20_000);
  }, 120_000);

  it('of a primary that hangs, with Sentinels: nobody stays with it', async () => {
    const set = await startSentinels();
    cleanUps.push(() => set.stop());
    const primary = await set.primary();
    const { load } = await drive(set.url, 'Sentinel, primary frozen', async () => {
      process.kill(primary.pid(), 'SIGSTOP');
      cleanUps.push(async () => void process.kill(primary.pid(), 'SIGCONT'));
      await set.failedOver(primary);
    });
    expect(load.longestGapMs()).toBeLessThan(20_000);
  }, 120_000);

  it('of the node that owns the queue, in a Cluster', async () => {
    const set = await startCluster({ replicas: 1 });
    cleanUps.push(() => set.stop());
    const { load, lost } = await drive(set.url, 'Cluster, owner killed', async () => {
      const owner: RedisNode = await set.ownerOf(`{bull:${queueName}}`);
      await owner.kill();
    });
    expect(lost.length).toBeLessThan(load.accepted.size / 10);
    expect(load.longestGapMs()).toBeLessThan(20_000);
  }, 120_000);
});
