/** What operators see of the fleet and do to it, over HTTP. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { putWorker, removeWorker } from '../backends/worker-list.ts';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { createKeys } from './keys.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

const queue = 'email-sending';
const paused = z.object({
  by: z.string(),
  reason: z.string(),
  since: z.string().nullable(),
  until: z.string().nullable(),
});
const listed = z.object({
  queues: z.array(
    z.object({
      queue: z.string(),
      counts: z.record(z.string(), z.number()),
      paused: paused.nullable(),
      concurrency: z.number().nullable(),
    }),
  ),
  pausedTenants: z.array(paused.extend({ tenant: z.string() })),
});

async function list() {
  return listed.parse((await api.call('GET', '/v1/queues')).json);
}

async function pauseOf(name = queue) {
  return (await list()).queues.find((one) => one.queue === name)?.paused;
}

describe('a queue', () => {
  test('is paused by its owner for a reason, shown, and resumed; its jobs still count as waiting', async () => {
    const answer = await api.call('POST', `/v1/queues/email_sending/pause`, { reason: 'provider down', by: 'ada' });
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({
      queue,
      paused: { by: 'ada', reason: 'provider down', since: expect.any(String), until: null },
    });
    await api.call('POST', '/v1/jobs', { type: queue, payload: { to: 'ada@example.com', template: 'welcome' } });
    expect(await pauseOf()).toMatchObject({ by: 'ada', reason: 'provider down', until: null });
    expect((await list()).queues.find((one) => one.queue === queue)?.counts['waiting']).toBe(1);
    expect(await api.backend.queue(queue).isPaused()).toBe(true);
    const resumed = await api.call('POST', `/v1/queues/${queue}/resume`);
    expect(resumed.json).toEqual({ queue, paused: null });
    expect(await pauseOf()).toBeNull();
  });

  test('is paused for a time, or until one, by the key when nobody is named', async () => {
    const before = Date.now();
    await api.call('POST', `/v1/queues/${queue}/pause`, { reason: 'short', forMs: 60_000 });
    const pause = await pauseOf();
    expect(pause?.by).toBe('static');
    const untilMs = Date.parse(pause?.until ?? '');
    expect(untilMs - before).toBeGreaterThan(55_000);
    expect(untilMs - before).toBeLessThan(90_000);
    const until = new Date(before + 3_600_000).toISOString();
    await api.call('POST', `/v1/queues/${queue}/pause`, { reason: 'longer', until });
    expect(Math.abs(Date.parse((await pauseOf())?.until ?? '') - before - 3_600_000)).toBeLessThan(2_000);
    await api.call('POST', `/v1/queues/${queue}/resume`);
  });

  test.each([
    ['no reason', {}, 'reason'],
    ['both ends', { reason: 'x', forMs: 60_000, until: '2100-01-01T00:00:00Z' }, 'until'],
    ['an end in the past', { reason: 'x', until: '2001-01-01T00:00:00Z' }, 'until'],
    ['an unknown field', { reason: 'x', untill: 1 }, 'untill'],
  ])('is not paused with %s', async (_what, body, path) => {
    const answer = await api.call('POST', `/v1/queues/${queue}/pause`, body);
    expect(answer.status).toBe(400);
    expect(answer.text).toContain(path);
    expect(await pauseOf()).toBeNull();
  });

  test('that does not exist is 404', async () => {
    expect((await api.call('POST', '/v1/queues/nothing/pause', { reason: 'x' })).status).toBe(404);
    expect((await api.call('POST', '/v1/queues/nothing/resume')).status).toBe(404);
  });
});

test('the whole fleet is paused and resumed', async () => {
  const answer = await api.call('POST', '/v1/fleet/pause', { reason: 'migration', by: 'ada' });
  expect(answer.json).toMatchObject({ queues: [...api.registry.jobs.keys()], paused: { by: 'ada' } });
  expect((await list()).queues.every((one) => one.paused?.by === 'ada')).toBe(true);
  await api.call('POST', '/v1/fleet/resume');
  expect((await list()).queues.every((one) => one.paused === null)).toBe(true);
});

test('a tenant is paused, shown and resumed', async () => {
  const answer = await api.call('POST', '/v1/tenants/acme/pause', { reason: 'unpaid', by: 'ada', forMs: 60_000 });
  expect(answer.json).toMatchObject({ tenant: 'acme', paused: { by: 'ada', reason: 'unpaid' } });
  expect((await list()).pausedTenants).toMatchObject([{ tenant: 'acme', by: 'ada', reason: 'unpaid' }]);
  await api.call('POST', '/v1/tenants/acme/resume');
  expect((await list()).pausedTenants).toEqual([]);
  expect((await api.call('POST', '/v1/tenants/ACME!/pause', { reason: 'x' })).status).toBe(404);
});

test('the concurrency of a queue is set for all workers, shown and taken back', async () => {
  const set = await api.call('POST', '/v1/workers/tune', { queue: 'email_sending', concurrency: 7 });
  expect(set.json).toEqual({ queue, concurrency: 7 });
  expect((await list()).queues.find((one) => one.queue === queue)?.concurrency).toBe(7);
  await api.call('POST', '/v1/workers/tune', { queue, concurrency: null });
  expect((await list()).queues.find((one) => one.queue === queue)?.concurrency).toBeNull();
  expect((await api.call('POST', '/v1/workers/tune', { queue: 'nothing', concurrency: 1 })).status).toBe(400);
  expect((await api.call('POST', '/v1/workers/tune', { queue, concurrency: 0 })).status).toBe(400);
});

test('workers are listed with what they do and why they claim nothing', async () => {
  const queues = [{ queue, concurrency: 4, active: 1, ended: 60, p50Ms: 10, p95Ms: 90, ended5m: 200, meanMs5m: 20 }];
  const facts = {
    host: 'here',
    pid: 7,
    version: '1.2.3',
    clockOffMs: 3_000,
    memoryMb: 90,
    p50Ms: 10,
    p95Ms: 90,
    queues,
  };
  await putWorker(api.backend.records, 'one', {
    ...facts,
    startedAt: 0,
    beatAt: 60_000,
    active: 1,
    circuits: [
      { name: 'mail.example.com:587', state: 2 },
      { name: 'b', state: 1 },
    ],
    notClaiming: 'The clock is off.',
  });
  const { json } = await api.call('GET', '/v1/workers');
  expect(json['workers']).toEqual([
    {
      ...facts,
      instance: 'one',
      startedAt: '1970-01-01T00:00:00.000Z',
      seenAt: '1970-01-01T00:01:00.000Z',
      active: 1,
      circuits: [
        { name: 'mail.example.com:587', state: 'open' },
        { name: 'b', state: 'half-open' },
      ],
      claiming: false,
      reason: 'The clock is off.',
      queues: [{ queue, concurrency: 4, active: 1, ended: 60, p50Ms: 10, p95Ms: 90 }],
    },
  ]);
  await putWorker(api.backend.records, 'two', {
    ...facts,
    startedAt: 0,
    beatAt: 60_000,
    active: 0,
    circuits: [{ name: 'b', state: 2 }],
    notClaiming: null,
  });
  expect((await api.call('GET', '/v1/circuit-breakers')).json).toEqual({
    circuits: [
      { name: 'b', state: 'open', workers: ['one', 'two'] },
      { name: 'mail.example.com:587', state: 'open', workers: ['one'] },
    ],
  });
  await removeWorker(api.backend.records, 'two');
  await removeWorker(api.backend.records, 'one');
  expect((await api.call('GET', '/v1/workers')).json).toEqual({ workers: [] });
});

test('all of it is for operators', async () => {
  const keys = createKeys({ records: api.backend.records, staticKey: undefined });
  const { key } = await keys.create({ tenant: 'acme', scopes: ['jobs'] });
  const headers = { authorization: `Bearer ${key}` };
  for (const [method, path, body] of [
    ['GET', '/v1/workers', undefined],
    ['GET', '/v1/circuit-breakers', undefined],
    ['POST', '/v1/workers/tune', { queue, concurrency: 1 }],
    ['POST', `/v1/queues/${queue}/pause`, { reason: 'x' }],
    ['POST', '/v1/fleet/resume', undefined],
    ['POST', '/v1/tenants/acme/resume', undefined],
  ] as const)
    expect((await api.call(method, path, body, headers)).status).toBe(403);
});
