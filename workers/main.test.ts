import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import type { Job as StoredJob } from 'bullmq';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Backend } from '../backends/backend.ts';
import { openBackend } from '../backends/open.ts';
import type { Registry } from '../jobs/registry.ts';
import { loadRegistry } from '../jobs/registry.ts';
import { type Client, createClient } from '../producers/client.ts';
import { parseEnv } from '../runtime/env.ts';
import { createLog } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import type { ObjectStore } from '../runtime/object-store.ts';
import { openFolderStore } from '../runtime/object-store-folder.ts';
import acting from '../tests/support/fleet-jobs/acting/job.ts';
import hasty from '../tests/support/fleet-jobs/hasty/job.ts';
import { workersEnv } from './env.ts';
import { type Fleet, startWorkers } from './main.ts';

const jobsFolder = new URL('../tests/support/fleet-jobs/', import.meta.url);
let folder: string;
let backend: Backend;
let objects: ObjectStore;
let registry: Registry;
let client: Client;
const lines: Record<string, unknown>[] = [];
const storeErrors: Error[] = [];
const metrics = createMetrics();

async function startFleet(env: Record<string, string> = {}, store: Backend = backend): Promise<Fleet> {
  const destination = new Writable({
    write(chunk, _encoding, done) {
      for (const line of String(chunk).split('\n').filter(Boolean)) lines.push(JSON.parse(line));
      done();
    },
  });
  return startWorkers({
    registry,
    backend: store,
    client,
    objects,
    log: createLog({ name: 'worker', destination }),
    metrics,
    env: parseEnv(workersEnv, { WORK_DIR: folder, ...env }),
    handlerEnv: {},
  });
}

/** The job when it has ended. */
async function ended(id: string, queue = 'acting'): Promise<StoredJob> {
  const events = backend.events(queue);
  await events.waitUntilReady();
  const found = await new Promise<StoredJob>((resolve, reject) => {
    const look = (): void => {
      backend
        .queue(queue)
        .getJob(id)
        .then((job) => job?.finishedOn !== undefined && resolve(job), reject);
    };
    events.on('completed', look).on('failed', look);
    look();
  });
  return found;
}

/** Resolves when the handler of the job runs. */
async function started(id: string): Promise<void> {
  await vi.waitFor(async () => expect(await objects.head(`t/-/started/${id}/1`)).toBeDefined(), 10_000);
}

/** As if so much time had passed for every idempotency key. */
async function agedBy(time: string): Promise<void> {
  const aged = `UPDATE jobfleet.record SET expires_at = expires_at - interval '${time}' WHERE key LIKE 'idem:%'`;
  await backend.sql?.run(aged, [], { timeoutMs: 5_000, mayRepeat: false });
}

const lineOf = (id: string) => lines.filter((line) => line['jobId'] === id);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobfleet-fleet-'));
  objects = await openFolderStore(join(folder, 'objects'));
  backend = await openBackend('embedded:memory', {
    onError: (error) => storeErrors.push(error),
  });
  registry = await loadRegistry(jobsFolder);
  client = createClient({ backend, registry });
});

afterAll(async () => {
  await backend?.close();
  await rm(folder, { recursive: true, force: true });
});

describe('a fleet', () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await startFleet();
  });
  afterAll(async () => {
    await fleet?.stop(2_000);
  });

  it('is live and ready and says what it serves', () => {
    expect(fleet.serves).toEqual(['acting', 'hasty']);
    expect(fleet.unavailable.size).toBe(0);
    expect([fleet.live(), fleet.ready()]).toEqual([undefined, undefined]);
    expect(storeErrors).toEqual([]);
  });

  it('completes a job with its result, one log line and its metrics', async () => {
    const { id } = await client.enqueue(acting, { act: 'echo', text: 'hi' });
    const job = await ended(id);
    expect(job.returnvalue).toEqual({ text: 'hi', attempt: 1, fence: 1 });
    expect(lineOf(id)).toMatchObject([{ queue: 'acting', attempt: 1, outcome: 'done', tenant: '-' }]);
    expect(await metrics.text()).toContain('jobfleet_job_attempts_total{queue="acting",outcome="done"}');
  });

  it('retries by its policy, then dead-letters with the code first', async () => {
    const { id } = await client.enqueue(acting, { act: 'retry', text: 'now' });
    const job = await ended(id);
    expect(job.attemptsMade).toBe(3);
    expect(job.failedReason).toBe('HTTP_500: try again, now');
    expect(lineOf(id).map((line) => line['outcome'])).toEqual(['retry', 'retry', 'dead']);
  });

  it('dead-letters at once what cannot get better, masked', async () => {
    const { id } = await client.enqueue(acting, { act: 'dead' });
    const job = await ended(id);
    expect(job.attemptsMade).toBe(1);
    expect(job.failedReason).toMatch(/^BAD_SOURCE: broken for /);
    expect(JSON.stringify([job.failedReason, job.stacktrace])).not.toContain('ada@example.com');
  });

  it('runs a job again later without spending an attempt', async () => {
    const { id } = await client.enqueue(acting, { act: 'later' });
    expect((await ended(id)).returnvalue).toEqual({ text: '', attempt: 1, fence: 2 });
  });

  it('dead-letters a payload the schema refuses, a foreign name, and an expired job', async () => {
    const queue = backend.queue('acting');
    const opts = { attempts: 3, backoff: { type: 'policy' }, removeOnFail: false };
    await queue.add('acting', { act: 'fly' }, { ...opts, jobId: 'acting_BAD' });
    await queue.add('other', { act: 'echo' }, { ...opts, jobId: 'acting_OTHER' });
    const late = { tenant: '-', startBy: Date.now() - 1, v: 1 };
    await queue.add('acting', { act: 'echo' }, Object.assign({ jobId: 'acting_LATE', jobfleet: late }, opts));
    const codes = await Promise.all(
      ['BAD', 'OTHER', 'LATE'].map(async (name) => (await ended(`acting_${name}`)).failedReason.split(':')[0]),
    );
    expect(codes).toEqual(['PAYLOAD_INVALID', 'UNKNOWN_JOB', 'EXPIRED']);
  });

  it('enqueues on behalf of a job once, however often the job is tried', async () => {
    const { id } = await client.enqueue(acting, { act: 'fresh', text: randomUUID() }, { tenant: 'acme' });
    const job = await ended(id);
    expect(job.attemptsMade).toBe(2);
    const all = await backend.queue('acting').getJobs(['waiting', 'active', 'completed']);
    const added = all.filter((one) => one.data.act === 'echo' && one.data.text === job.data.text);
    expect(added).toHaveLength(1);
    expect(added[0]?.opts).toMatchObject({ jobfleet: { tenant: 'acme' } });
    // What the second attempt would have said otherwise is no reason to end.
    expect([await job.getState(), added[0]?.data]).toMatchObject(['completed', { at: 1 }]);
  });

  it('knows for 45 days what it enqueued for a job: a dead letter that is redriven after days adds it no second time', async () => {
    const text = randomUUID();
    const { id } = await client.enqueue(acting, { act: 'fresh', text }, { tenant: 'acme' });
    await ended(id);
    await agedBy('14 days');
    const again = { tenant: 'acme', idempotencyKey: `${id}/next` };
    expect(await client.enqueue(acting, { act: 'echo', text, at: 1 }, again)).toMatchObject({ duplicate: true });
    // A producer's own key lives for a day, as ever.
    const own = { tenant: 'acme', idempotencyKey: randomUUID() };
    expect(await client.enqueue(acting, { act: 'echo', text }, own)).toMatchObject({ duplicate: false });
    await agedBy('1 day');
    expect(await client.enqueue(acting, { act: 'echo', text }, own)).toMatchObject({ duplicate: false });
  });

  it('cancels a running job by message and refuses what it answers late', async () => {
    const { id } = await client.enqueue(acting, { act: 'wait' });
    await started(id);
    const gone = new Promise<void>((resolve) => {
      backend.events('acting').on('failed', ({ jobId }) => jobId === id && resolve());
    });
    await client.cancel(id);
    await gone;
    expect(await client.status(id)).toMatchObject({ status: 'cancelled' });
    expect(lineOf(id)).toMatchObject([{ outcome: 'cancelled' }]);
  });

  it('retries a handler that is over its time limit', async () => {
    const { id } = await client.enqueue(hasty, { act: 'deaf' }, { attempts: 1 });
    expect((await ended(id, 'hasty')).failedReason).toMatch(/^TIMED_OUT: /);
  });
});

describe('a fleet that stops', () => {
  it('hands running jobs back without an attempt, deaf ones too, and another fleet runs them', async () => {
    const first = await startFleet();
    const jobs = [await client.enqueue(acting, { act: 'wait' }), await client.enqueue(acting, { act: 'deaf' })];
    await Promise.all(jobs.map(({ id }) => started(id)));
    const stopped = first.stop(1_000);
    expect(first.ready()).toBe('This worker is shutting down.');
    expect(await stopped).toEqual({ handedBack: 2 });
    for (const { id } of jobs) {
      const job = await backend.queue('acting').getJob(id);
      expect(job?.attemptsMade).toBe(0);
      expect(await client.status(id)).toMatchObject({ interruptions: 1 });
      await client.cancel(id);
    }
  });

  it('counts an end when the store takes it, not when a handler is done', async () => {
    const completed = async () =>
      (await metrics.jobsCompleted.get()).values.find(({ labels }) => labels.queue === 'acting')?.value ?? 0;
    const before = await completed();
    const { id } = await client.enqueue(acting, { act: 'effect' });
    let isTaken = false;
    const compareAndSet: Backend['records']['compareAndSet'] = async (key, ...rest) => {
      // The effect is confirmed, the handler nearly done: now somebody else gets the claim.
      if (key.startsWith('once:') && !isTaken) {
        isTaken = true;
        await (await backend.queue('acting').getJob(id))?.moveToWait('0');
      }
      return backend.records.compareAndSet(key, ...rest);
    };
    const fleet = await startFleet({}, { ...backend, records: { ...backend.records, compareAndSet } });
    const job = await ended(id);
    await fleet.stop(1_000);
    expect(job.attemptsStarted).toBe(2);
    expect(await completed()).toBe(before + 1);
  });

  it('keeps what a completed job noted of its effects for a day', async () => {
    const fleet = await startFleet();
    const { id } = await client.enqueue(acting, { act: 'effect' });
    await ended(id);
    await fleet.stop(1_000);
    const lives = `SELECT ceil(extract(epoch FROM expires_at - clock_timestamp()) / 3600)::int AS hours FROM jobfleet.record
                    WHERE key LIKE 'once:%' || $1 || '%'`;
    expect(await backend.sql?.run(lives, [id], { timeoutMs: 5_000, mayRepeat: true })).toEqual([{ hours: 24 }]);
  });

  it('frees a job before it writes down why: the platform may kill at any moment', async () => {
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const get: Backend['records']['get'] = async (keys) => {
      if (keys.some((key) => key.startsWith('run:'))) await gate;
      return backend.records.get(keys);
    };
    const fleet = await startFleet({}, { ...backend, records: { ...backend.records, get } });
    const { id } = await client.enqueue(acting, { act: 'wait' });
    await started(id);
    const stopped = fleet.stop(1_000);
    await expect.poll(async () => (await client.status(id))?.status).not.toBe('active');
    open();
    expect(await stopped).toEqual({ handedBack: 1 });
    expect(await client.status(id)).toMatchObject({ interruptions: 1 });
    await client.cancel(id);
  });
});
