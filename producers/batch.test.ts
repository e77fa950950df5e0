/** `POST /v1/jobs/batch`, and what HTTP says of rates and of queues that are too full. */
import { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defineJob, type Job } from '../jobs/define.ts';
import type { Registry } from '../jobs/registry.ts';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { createKeys } from './keys.ts';

const shape = { payload: z.strictObject({ n: z.int().default(0) }), result: z.object({}) };
const note = defineJob({ name: 'note', aliases: ['memo'], summary: 'Notes.', ...shape });
const letter = defineJob({ name: 'letter', summary: 'Writes.', ...shape, uniqueKey: ({ n }) => `${n}` });
const rare = defineJob({
  name: 'rare',
  summary: 'Seldom.',
  ...shape,
  policy: { perTenant: { rate: { points: 3, windowMs: 60_000 } } },
});
const small = defineJob({ name: 'small', summary: 'Little room.', ...shape, policy: { maxDepth: 2 } });
const jobs = new Map<string, Job>([note, letter, rare, small].map((job) => [job.name, job]));
const unused = (): never => {
  throw new Error('a producer loads no handler');
};
const registry: Registry = {
  jobs,
  find: (name) => jobs.get(name === 'memo' ? 'note' : name),
  handler: unused,
  handlerUrl: unused,
};

let api: TestApi;
let tenantKey = '';
let premiumKey = '';
beforeAll(async () => {
  api = await openTestApi({ registry, env: { KEY_RATE_LIMIT: '2/3600', BATCH_RATE_LIMIT: '1/3600' } });
  const keys = createKeys({ records: api.backend.records });
  tenantKey = (await keys.create({ tenant: 'acme', scopes: ['jobs'] })).key;
  premiumKey = (await keys.create({ tenant: 'rich', scopes: ['jobs'], tier: 'premium' })).key;
});
afterAll(() => api.close());

const asTenant = (key: string) => ({ authorization: `Bearer ${key}` });
const batch = (items: readonly object[], headers: Record<string, string> = {}) =>
  api.call('POST', '/v1/jobs/batch', { items }, headers);
const counts = async (): Promise<number> => {
  let sum = 0;
  for (const name of jobs.keys()) sum += await api.backend.queue(name).getWaitingCount();
  return sum;
};

describe('POST /v1/jobs/batch', () => {
  test('stores nothing at all when one of its queues cannot be written', async () => {
    const pool = new Pool({ connectionString: api.backend.leaseConnection.url, max: 1 });
    await pool.query(`
      CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room for %', NEW.id; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON bullmq.job FOR EACH ROW WHEN (NEW.queue = 'letter') EXECUTE FUNCTION public.refuse()`);
    const before = await counts();
    const items = [
      { type: 'note', payload: { n: 901 } },
      { type: 'letter', payload: { n: 902 } },
    ];
    expect((await batch(items, { 'idempotency-key': 'whole' })).status).toBe(500);
    expect(await counts()).toBe(before);
    await pool.query('DROP TRIGGER refuse ON bullmq.job; DROP FUNCTION public.refuse()');
    await pool.end();
    expect((await batch(items, { 'idempotency-key': 'whole' })).status).toBe(202);
    expect(await counts()).toBe(before + 2);
  });

  test('stores jobs of several types and answers each, in order', async () => {
    const answer = await batch([
      { type: 'memo', payload: { n: 1 } },
      { type: 'letter', payload: { n: 2 } },
      { type: 'note', payload: { n: 3 }, options: { delayMs: 60_000, level: 'low' } },
      { type: 'letter', payload: { n: 2 } },
    ]);
    expect(answer.status).toBe(202);
    const items = answer.json['items'] as Record<string, unknown>[];
    expect(items.map(({ type, status, duplicate }) => [type, status, duplicate])).toEqual([
      ['note', 'waiting', false],
      ['letter', 'waiting', false],
      ['note', 'delayed', false],
      ['letter', 'waiting', true],
    ]);
    expect(items[3]?.['id']).toBe(items[1]?.['id']);
    const stored = await api.backend.queue('note').getJob(String(items[2]?.['id']));
    expect(stored?.opts).toMatchObject({ jobfleet: { tenant: '-', level: 'low', v: 1 } });
    expect(items[0]?.['links']).toEqual({ self: `/v1/jobs/${String(items[0]?.['id'])}` });
  });

  test('stores nothing when one item is wrong, and names every field that is', async () => {
    const before = await counts();
    const answer = await batch([
      { type: 'note', payload: { n: 1 } },
      { type: 'note', payload: { n: 'two' } },
      { type: 'no-such-type', payload: {} },
    ]);
    expect(answer.status).toBe(400);
    expect(answer.json).toMatchObject({ code: 'INVALID' });
    const paths = JSON.stringify(answer.json['errors']);
    expect(paths).toContain('items.1.payload.n');
    expect(paths).toContain('items.2.type');
    const late = await batch([{ type: 'note', payload: {}, options: { delayMs: -1 } }]);
    expect(JSON.stringify(late.json['errors'])).toContain('items.0.options.delayMs');
    expect(await counts()).toBe(before);
  });

  test('takes a thousand, and refuses none and a thousand and one', async () => {
    const items = Array.from({ length: 1_000 }, (_, n) => ({ type: 'note', payload: { n } }));
    const answer = await batch(items);
    expect(answer.status).toBe(202);
    const answers = answer.json['items'] as { id: string }[];
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1_000);
    expect(answers.map(({ id }) => id)).toEqual(answers.map(({ id }) => id).toSorted());
    expect((await batch([])).status).toBe(400);
    expect((await batch([...items, { type: 'note', payload: {} }])).status).toBe(400);
  });

  test('a key names the same jobs, place by place; another body is 422 and stores nothing', async () => {
    const headers = { 'idempotency-key': 'monday' };
    const items = [
      { type: 'note', payload: { n: 1 } },
      { type: 'note', payload: { n: 2 } },
    ];
    const first = await batch(items, headers);
    const before = await counts();
    const again = await batch(items, headers);
    expect(again.status).toBe(202);
    const ids = (answer: typeof first) => (answer.json['items'] as { id: string }[]).map(({ id }) => id);
    expect(ids(again)).toEqual(ids(first));
    expect((again.json['items'] as { duplicate: boolean }[]).every(({ duplicate }) => duplicate)).toBe(true);
    const other = await batch([{ type: 'note', payload: { n: 9 } }, ...items.slice(1), items[0] ?? {}], headers);
    expect(other.status).toBe(422);
    expect(JSON.stringify(other.json['errors'])).toContain('items.0');
    expect(await counts()).toBe(before);
    // The third place was claimed before the first was refused; it is free again.
    const [record] = await api.backend.records.get(['idem:-:POST /v1/jobs/batch:monday#2']);
    expect(record).toBeUndefined();
  });

  test('a body may have 4 MiB, a payload 256 KiB as ever', async () => {
    const long = { type: 'note', payload: { n: 0, more: 'x'.repeat(300_000) } };
    expect((await batch([long])).status).toBe(400);
    const huge = Array.from({ length: 20 }, () => ({ type: 'note', payload: { n: 0, more: 'x'.repeat(250_000) } }));
    expect((await batch(huge)).status).toBe(413);
  });
});

describe('rates over HTTP', () => {
  test('say how much is left, and refuse what is over with 429 and the time to wait', async () => {
    const call = () => api.call('POST', '/v1/jobs', { type: 'rare', payload: {} });
    const first = await call();
    expect(first.status).toBe(202);
    expect(first.headers.get('x-ratelimit-limit')).toBe('3');
    expect(first.headers.get('x-ratelimit-remaining')).toBe('2');
    expect(Number(first.headers.get('x-ratelimit-reset'))).toBeGreaterThan(50);
    const rest = await Promise.all([call(), call(), call()]);
    expect(rest.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([202, 202, 429]);
    const refused = rest.find(({ status }) => status === 429);
    expect(refused?.json).toMatchObject({ code: 'LIMITED', title: 'Too many requests', status: 429 });
    expect(refused?.headers.get('x-ratelimit-remaining')).toBe('0');
    expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(50);
  });

  test('one key has its own rate, a premium one ten times as much, and the operator none', async () => {
    const call = (headers = {}) => api.call('POST', '/v1/jobs', { type: 'note', payload: {} }, headers);
    const statuses: number[] = [];
    for (let n = 0; n < 3; n += 1) statuses.push((await call(asTenant(tenantKey))).status);
    expect(statuses).toEqual([202, 202, 429]);
    for (let n = 0; n < 5; n += 1) expect((await call(asTenant(premiumKey))).status).toBe(202);
    for (let n = 0; n < 5; n += 1) expect((await call()).status).toBe(202);
    const items = [{ type: 'note', payload: {} }];
    expect((await batch(items, asTenant(tenantKey))).status).toBe(202);
    const refused = await batch(items, asTenant(tenantKey));
    expect(refused.status).toBe(429);
    expect(refused.json['detail']).toBe('At most 1 batches in 3600 s with one API key.');
  });
});

test('a queue that is too full answers 503 with Retry-After and code LIMITED, one by one and in bulk', async () => {
  const call = () => api.call('POST', '/v1/jobs', { type: 'small', payload: {} });
  expect([(await call()).status, (await call()).status]).toEqual([202, 202]);
  const refused = await call();
  expect(refused.status).toBe(503);
  expect(refused.json).toMatchObject({ code: 'LIMITED', title: 'Too full', status: 503 });
  expect(refused.headers.get('retry-after')).toBe('5');
  expect(
    (
      await batch([
        { type: 'note', payload: {} },
        { type: 'small', payload: {} },
      ])
    ).status,
  ).toBe(503);
  expect(await api.backend.queue('small').getWaitingCount()).toBe(2);
});
