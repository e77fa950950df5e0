import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, expectTypeOf, test } from 'vitest';
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import { openBackend } from '../backends/open.ts';
import { defineJob, type Job } from '../jobs/define.ts';
import type { Registry } from '../jobs/registry.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { type Client, createClient, openClient } from './client.ts';
import { createIds, readId } from './ids.ts';

const greet = defineJob({
  name: 'greet',
  aliases: ['hello'],
  summary: 'Greets.',
  payload: z.strictObject({ name: z.string().max(100_000), times: z.int().default(1), extra: z.unknown().optional() }),
  result: z.object({ ok: z.boolean() }),
});
const once = defineJob({
  name: 'only-once',
  summary: 'One at a time.',
  payload: z.strictObject({ account: z.string() }),
  result: z.object({}),
  uniqueKey: ({ account }) => account,
});
const jobs = new Map<string, Job>([
  [greet.name, greet],
  [once.name, once],
]);
const registry: Registry = {
  jobs,
  find: (name) => jobs.get(name) ?? (name === 'hello' ? greet : undefined),
  handler: async () => {
    throw new Error('a producer loads no handler');
  },
  handlerUrl: () => {
    throw new Error('a producer loads no handler');
  },
};

let backend: Backend;
let client: Client;
const metrics = createMetrics();
const failures: Error[] = [];
beforeAll(async () => {
  backend = await openBackend('embedded:memory', { onError: (error) => void failures.push(error) });
  client = createClient({ backend, registry, metrics });
});
afterAll(() => backend.close());

/** Compiled by `npm run types`, never called: each line that must not compile says so. */
export function wrongCallsDoNotCompile(it: Client): unknown[] {
  return [
    it.enqueue(greet, { name: 'Ada' }),
    it.enqueue(greet, { name: 'Ada', times: 2 }, { delayMs: 1 }),
    // @ts-expect-error: the name is missing
    it.enqueue(greet, {}),
    // @ts-expect-error: times is a number
    it.enqueue(greet, { name: 'Ada', times: 'two' }),
    // @ts-expect-error: an unknown field
    it.enqueue(greet, { name: 'Ada', colour: 'red' }),
    // @ts-expect-error: the payload of another type
    it.enqueue(once, { name: 'Ada' }),
    // @ts-expect-error: BullMQ's names are not ours
    it.enqueue(greet, { name: 'Ada' }, { delay: 5 }),
    // @ts-expect-error: in bulk as well
    it.enqueueMany(greet, [{ payload: { name: 'Ada' } }, { payload: { nome: 'Ada' } }]),
  ];
}

test('a wrong payload does not compile', () => {
  expectTypeOf(wrongCallsDoNotCompile).toBeFunction();
  expectTypeOf<Parameters<typeof client.enqueue<typeof greet>>[1]>().toEqualTypeOf<z.input<typeof greet.payload>>();
});

test('stores what the schema made of the payload, under an id that names its queue', async () => {
  const { id, ...answer } = await client.enqueue(greet, { name: 'Ada' }, { tenant: 'acme' });
  expect(answer).toMatchObject({ type: 'greet', queue: 'greet', status: 'waiting', duplicate: false });
  expect(readId(id)?.type).toBe('greet');
  expect((await backend.queue('greet').getJob(id))?.data).toEqual({ name: 'Ada', times: 1 });
  expect(await client.status(id)).toMatchObject({ id, tenant: 'acme', status: 'waiting', createdAt: answer.createdAt });
  expect(await client.status(id, 'acme')).toBeDefined();
  expect(await client.status(id, 'other')).toBeUndefined();
  expect(await client.cancel(id, 'other')).toBeUndefined();
  expect(await client.cancel(id, 'acme')).toBe('cancelled');
  expect(await client.status(id, 'acme')).toMatchObject({ status: 'cancelled', tenant: 'acme' });
  expect(await client.status(id, 'other')).toBeUndefined();
});

test.each([
  [{ delayMs: -1 }],
  [{ delayMs: Number.NaN }],
  [{ delayMs: 0.5 }],
  [{ delayMs: 366 * 86_400_000 + 1 }],
  [{ attempts: 0 }],
  [{ attempts: 101 }],
  [{ attempts: Number.POSITIVE_INFINITY }],
  [{ startBy: 'tomorrow' }],
  [{ startBy: '2020-01-01T00:00:00Z' }],
  [{ tenant: 'Acme Inc.' }],
  [{ tenant: '../x' }],
  [{ tenant: '' }],
  [{ idempotencyKey: '' }],
  [{ idempotencyKey: 'x'.repeat(256) }],
  [{ idempotencyKey: 'a\0b' }],
])('refuses the options %j', async (options) => {
  await expect(client.enqueue(greet, { name: 'Ada' }, options)).rejects.toMatchObject({ code: 'INVALID' });
});

test.each([
  ['NUL', { name: 'a\0' }, 'INVALID'],
  ['a lone surrogate', { name: '\ud800' }, 'INVALID'],
  ['a date', { name: 'a', extra: new Date(0) }, 'INVALID'],
  ['a buffer', { name: 'a', extra: Buffer.from('x') }, 'INVALID'],
  ['NaN', { name: 'a', extra: Number.NaN }, 'INVALID'],
  ['a cycle', { name: 'a', extra: cycle() }, 'TOO_DEEP'],
  ['1,001 elements', { name: 'a', extra: Array.from({ length: 1_001 }, () => 1) }, 'TOO_DEEP'],
  ['300 KB', { name: 'a', extra: ['x'.repeat(150_000), 'y'.repeat(150_000)] }, 'TOO_LARGE'],
])('refuses a payload with %s, which not every store gives back', async (_what, payload, code) => {
  await expect(client.enqueue(greet, payload)).rejects.toMatchObject({ name: 'ProducerError', code });
});

function cycle(): object {
  const value: Record<string, unknown> = {};
  value['self'] = value;
  return value;
}

test('one invalid item of many stores nothing and is named', async () => {
  const before = await backend.queue('greet').getJobCountByTypes('waiting');
  const items = [{ payload: { name: 'a' } }, { payload: { name: 'b', times: 1.5 } }, { payload: { name: 'c' } }];
  await expect(client.enqueueMany(greet, items)).rejects.toMatchObject({
    code: 'INVALID',
    errors: [{ path: 'items.1.payload.times' }],
  });
  expect(await backend.queue('greet').getJobCountByTypes('waiting')).toBe(before);
});

test('many are stored in order, keys and unique keys included', async () => {
  const answers = await client.enqueueMany(greet, [
    { payload: { name: 'a' } },
    { payload: { name: 'b' }, options: { idempotencyKey: 'many-b' } },
    { payload: { name: 'c' }, options: { delayMs: 60_000 } },
    { payload: { name: 'b' }, options: { idempotencyKey: 'many-b' } },
  ]);
  expect(answers.map(({ status, duplicate }) => [status, duplicate])).toContainEqual(['delayed', false]);
  expect(answers[1]?.id).toBe(answers[3]?.id);
  expect(new Set(answers.map(({ id }) => id)).size).toBe(3);
  const names = await Promise.all(answers.map(async ({ id }) => (await backend.queue('greet').getJob(id))?.data.name));
  expect(names).toEqual(['a', 'b', 'c', 'b']);
  const unique = await client.enqueueMany(once, [{ payload: { account: 'x' } }, { payload: { account: 'x' } }]);
  expect(unique[1]).toMatchObject({ id: unique[0]?.id, duplicate: true });
});

test('a unique key holds while its job is queued, per tenant, and its text is not stored', async () => {
  const first = await client.enqueue(once, { account: 'ada@example.com' });
  const twin = await client.enqueue(once, { account: 'ada@example.com' }, { idempotencyKey: 'k' });
  const foreign = await client.enqueue(once, { account: 'ada@example.com' }, { tenant: 'acme' });
  expect(twin).toMatchObject({ id: first.id, duplicate: true, createdAt: first.createdAt });
  expect(foreign.duplicate).toBe(false);
  const again = await client.enqueue(once, { account: 'ada@example.com' }, { idempotencyKey: 'k' });
  expect(again).toMatchObject({ id: first.id, duplicate: true });
  const stored = await backend.queue('only-once').getJob(first.id);
  expect(JSON.stringify(stored?.opts)).not.toContain('ada@');
  await client.cancel(first.id);
  expect(await client.enqueue(once, { account: 'ada@example.com' })).toMatchObject({ duplicate: false });
});

test('counts what was accepted, without duplicates', async () => {
  const total = async (): Promise<number> =>
    (await metrics.jobsEnqueued.get()).values.find(({ labels }) => labels.queue === 'greet')?.value ?? 0;
  const before = await total();
  await client.enqueue(greet, { name: 'm' }, { idempotencyKey: 'metric' });
  await client.enqueue(greet, { name: 'm' }, { idempotencyKey: 'metric' });
  expect((await total()) - before).toBe(1);
});

test('unknown ids, types and strange ids are answered, not thrown at the store', async () => {
  for (const id of ['', 'x', 'greet_', `greet_${'0'.repeat(26)}`, `nope_${'0'.repeat(26)}`, '../x', 'greet:1', '\0']) {
    expect(await client.status(id)).toBeUndefined();
    expect(await client.cancel(id)).toBeUndefined();
  }
  await expect(client.enqueueNamed('nope', {})).rejects.toMatchObject({ code: 'INVALID', errors: [{ path: 'type' }] });
  expect(await client.enqueueNamed('hello', { name: 'alias' })).toMatchObject({ type: 'greet' });
});

test('ids of one process are strictly increasing, also when the clock steps back', () => {
  const times = [5_000, 5_000, 5_000, 4_000, 5_001, 1, 6_000];
  const next = createIds(() => times.shift() ?? 7_000);
  const ids = Array.from({ length: 1_000 }, () => next('greet'));
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids).size).toBe(1_000);
  expect(readId(ids[0] ?? '')).toEqual({ type: 'greet', createdAtMs: 5_000 });
});

test('openClient brings its own store', async () => {
  const own = await openClient({ QUEUE_URL: 'embedded:memory' }, { registry });
  try {
    const { id } = await own.enqueue(greet, { name: 'own' });
    expect(await own.status(id)).toMatchObject({ status: 'waiting' });
    expect(await client.status(id)).toBeUndefined();
  } finally {
    await own.close();
  }
});

test('openClient puts jobs where the processes of the same environment look for them', async () => {
  const DATA_DIR = await mkdtemp(join(tmpdir(), 'jobfleet-client-'));
  const own = await openClient({ DATA_DIR, QUEUE_URL: '' }, { registry });
  const served = await openBackend(`embedded:${join(DATA_DIR, 'queue')}`, { onError: () => undefined });
  try {
    const { id } = await own.enqueue(greet, { name: 'own' });
    expect(await served.queue(greet.name).getJob(id)).toMatchObject({ id });
  } finally {
    await own.close();
    await served.close();
    await rm(DATA_DIR, { recursive: true });
  }
});
