/** What pauses, aborts or greys out: leases, cancels, availability. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { Backend, ControlMessage } from '../backends/backend.ts';
import { cancelKey } from '../backends/cancel-record.ts';
import { openBackend } from '../backends/open.ts';
import { defineHandler, defineJob } from '../jobs/define.ts';
import { loadRegistry, type Registry } from '../jobs/registry.ts';
import { announce, declaredValues, findAvailable } from './availability.ts';
import { watchCancels } from './cancels.ts';
import { parseClaim } from './claim.ts';
import { openLeases } from './leases.ts';
import { createRunning } from './running.ts';
import { memoryRecords } from './testing-records.ts';

const job = defineJob({ name: 'trying', summary: 'Tried.', payload: z.unknown(), result: z.unknown() });
const claim = (id: string) =>
  parseClaim(
    { id, name: 'trying', data: {}, opts: {}, timestamp: 0, attemptsMade: 0, attemptsStarted: 1, stalledCounter: 0 },
    job,
  );

describe('cancels', () => {
  it('reach a running attempt by message, and by record when the message is lost', async () => {
    const records = memoryRecords();
    let say: (message: ControlMessage) => void = () => undefined;
    const control: Backend['control'] = {
      send: async (message) => say(message),
      listen: (listener) => {
        say = listener;
        return () => undefined;
      },
    };
    const held = ['a', 'b', 'c'].map((id) => ({ running: createRunning(claim(id)), token: id, graceMs: 10 }));
    const stop = watchCancels(
      { control, records },
      () => held,
      (error) => expect(error).toBeUndefined(),
      5,
    );
    await control.send({ kind: 'cancel', queue: 'trying', id: 'a' });
    await control.send({ kind: 'cancel', queue: 'flying', id: 'b' });
    expect(held.map(({ running }) => running.aborted)).toEqual(['CANCELLED', undefined, undefined]);
    await records.putIfAbsent(cancelKey('trying', 'c'), '{}', null);
    await vi.waitFor(() => expect(held[2]?.running.aborted).toBe('CANCELLED'), 15_000);
    expect(held[1]?.running.aborted).toBeUndefined();
    await stop();
    for (const { running } of held) running.finish();
  });
});

describe('availability', () => {
  const fine = defineHandler(job, { run: async () => undefined });
  const needy = defineJob({ name: 'needy', summary: 'Needs.', payload: z.unknown(), result: z.unknown() });
  const needing = defineHandler(needy, { env: z.object({ NEEDED_URL: z.url() }), run: async () => undefined });
  const grey = defineJob({ name: 'grey', summary: 'Grey.', payload: z.unknown(), result: z.unknown() });
  const greyed = defineHandler(grey, { missing: async () => 'ffmpeg is missing; install it', run: async () => 0 });
  const broken = defineJob({ name: 'broken', summary: 'Broken.', payload: z.unknown(), result: z.unknown() });
  const handlers = [fine, needing, greyed];
  const registry: Registry = {
    jobs: new Map([job, needy, grey, broken].map((one) => [one.name, one])),
    find: (name) => [job, needy, grey, broken].find((one) => one.name === name),
    handlerUrl: (name) => `file:///${name}`,
    handler: async (name) => {
      const found = handlers.find((handler) => handler.job.name === name);
      if (found === undefined) throw new Error('its library does not load');
      return found;
    },
  };

  it('serves what can run and says of the others why not', async () => {
    const { served, unavailable } = await findAvailable(registry, undefined, { NEEDED_URL: 'no' });
    expect(served.map((one) => one.job.name)).toEqual(['trying']);
    expect(unavailable.get('needy')).toMatch(/NEEDED_URL/);
    expect(unavailable.get('grey')).toBe('ffmpeg is missing; install it');
    expect(unavailable.get('broken')).toBe('its library does not load');
  });

  it('greys what needs documents where nothing keeps them, and what only may use them not', async () => {
    const shape = { summary: 'Keeps.', payload: z.unknown(), result: z.unknown(), collections: { rows: {} } };
    const keeping = defineJob({ ...shape, name: 'keeping' });
    const using = defineJob({ ...shape, name: 'using', documents: 'optional' });
    const handlersOf = [keeping, using].map((one) => defineHandler(one, { run: async () => undefined }));
    const both: Registry = {
      ...registry,
      jobs: new Map([keeping, using].map((one) => [one.name, one])),
      handler: async (name) =>
        handlersOf.find((handler) => handler.job.name === name) ?? Promise.reject(new Error(name)),
    };
    const on = async (documents: string | undefined) =>
      findAvailable(
        both,
        undefined,
        {},
        { capabilities: { flows: true }, documents: async () => documents, key: false },
      );
    const without = await findAvailable(both, undefined, {});
    expect(without.served.map((one) => one.job.name)).toEqual(['using']);
    expect(without.unavailable.get('keeping')).toMatch(/^MONGODB_URL is missing: documents are kept by MongoDB when/);
    expect((await on('FerretDB v1.24.0')).unavailable).toEqual(new Map([['keeping', 'FerretDB v1.24.0']]));
    expect((await on(undefined)).unavailable.size).toBe(0);
  });

  it('serves only what was asked for, and refuses a name nobody has', async () => {
    const { served, unavailable } = await findAvailable(registry, ['needy'], { NEEDED_URL: 'https://a.example' });
    expect([served.map((one) => one.env), unavailable.size]).toEqual([[{ NEEDED_URL: 'https://a.example' }], 0]);
    await expect(findAvailable(registry, ['flying'], {})).rejects.toThrow('QUEUES names flying; known job types');
  });

  it('hands a handler its declared variables only, files read', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'jobfleet-env-'));
    await writeFile(join(folder, 'url'), 'https://a.example\n');
    const values = { NEEDED_URL_FILE: join(folder, 'url'), OTHER_KEY: 'x' };
    expect(declaredValues(needing.env, values)).toEqual({ NEEDED_URL: 'https://a.example' });
    await rm(folder, { recursive: true });
  });

  it('tells the fleet what runs here and what does not', async () => {
    const records = memoryRecords();
    const has = { capabilities: { flows: true }, documents: async () => 'no documents here', key: false };
    const available = await findAvailable(registry, ['trying', 'grey'], {});
    await announce(records, available, has);
    await announce(records, available, has);
    const [ok, missing] = await records.get(['type-ok:trying', 'type-missing:grey']);
    expect(ok?.version).toBe(2);
    expect(JSON.parse(missing?.value ?? '')).toEqual({ reason: 'ffmpeg is missing; install it' });
  });

  it('tells the fleet which parts of a type run here, by variables and by documents', async () => {
    const records = memoryRecords();
    const own = await loadRegistry();
    const values = { WEBHOOK_SECRETS: `*=whsec_${Buffer.alloc(24, 1).toString('base64')}` };
    const available = await findAvailable(own, ['notification-sending'], values);
    let documents: string | undefined = 'no documents here';
    const has = { capabilities: { flows: true }, documents: async () => documents, key: false };
    await announce(records, available, has);
    const of = async (part: string) =>
      (await records.get([`type-ok:notification-sending/${part}`, `type-missing:notification-sending/${part}`])).map(
        (entry) => entry && JSON.parse(entry.value),
      );
    expect(await of('webhook')).toEqual([{}, undefined]);
    expect(await of('sms')).toEqual([undefined, { reason: expect.stringContaining('set TWILIO_ACCOUNT_SID') }]);
    expect(await of('in-app')).toEqual([undefined, { reason: 'no documents here' }]);
    documents = undefined;
    await announce(records, available, has);
    expect((await of('in-app'))[0]).toEqual({});
  });
});

describe('leases', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await openBackend('embedded:memory', { onError: () => undefined });
  });
  afterAll(() => backend?.close());

  it('are renewed by the thread while the main loop holds a claim, and a claim that is lost is said once', async () => {
    const queue = backend.queue('leased');
    const lost: string[] = [];
    const leases = await openLeases({
      connection: backend.leaseConnection,
      leaseMs: 1_000,
      queues: ['leased'],
      slots: 2,
      onLost: ({ id, token }) => lost.push(`${id}/${token}`),
      onChange: () => undefined,
    });
    expect(leases.problem()).toBeUndefined();
    const { worker } = backend.worker('leased', async () => undefined, {
      concurrency: 2,
      leaseMs: 1_000,
      backoff: () => -1,
    });
    await queue.add('leased', {}, { jobId: 'one' });
    const job = await worker.getNextJob('token:1');
    const startedAt = Date.now();
    leases.take('leased', job?.id ?? '', 'token:1', Number.POSITIVE_INFINITY);
    const stale = leases.take('leased', job?.id ?? '', 'token:0', Number.POSITIVE_INFINITY);
    await vi.waitFor(() => expect(lost).toContain('one/token:0'), 5_000);
    leases.release(stale);
    // Longer than the lease: without the thread the sweep would have taken it by now.
    await vi.waitFor(() => expect(Date.now() - startedAt).toBeGreaterThan(2_000), 5_000);
    await worker.startStalledCheckTimer();
    expect(await job?.getState()).toBe('active');
    expect(lost).not.toContain('one/token:1');
    await job?.moveToCompleted({}, 'token:1', false);
    expect(await job?.getState()).toBe('completed');
    await worker.close();
    await leases.close();
  });

  it('cannot be opened on a store that does not answer', async () => {
    const opening = openLeases({
      connection: { kind: 'redis', url: 'redis://127.0.0.1:1' },
      leaseMs: 1_000,
      queues: [],
      slots: 1,
      onLost: () => undefined,
      onChange: () => undefined,
    });
    await expect(opening).rejects.toThrow('Redis');
  });
});
