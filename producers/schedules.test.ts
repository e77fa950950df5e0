import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSchedules } from '../backends/schedules.ts';
import { slotJobId } from '../backends/slot-id.ts';
import { loadRegistry } from '../jobs/registry.ts';
import { declaredSchedules } from '../jobs/schedule.ts';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { createKeys } from './keys.ts';

const yearly = { cron: '30 2 29 3 *', timeZone: 'Europe/Berlin' };
let api: TestApi;

/** As another start of a process of this release. */
function boot(): Promise<void> {
  const declared = declaredSchedules(api.registry.jobs.values()).map((one) => ({ ...one, ...yearly }));
  const nobody = { onLate: () => undefined, onAlert: () => undefined, onChange: () => undefined };
  const more = { release: '1.0.0', instance: randomUUID(), ...nobody };
  return createSchedules({ backend: api.backend, declared, ...more }).makeEqual();
}

async function listed(): Promise<Record<string, unknown>> {
  const { json } = await api.call('GET', '/v1/schedules');
  const [one] = json['schedules'] as Record<string, unknown>[];
  return one ?? {};
}

beforeAll(async () => {
  api = await openTestApi({
    registry: await loadRegistry(new URL('../tests/support/schedule-jobs/', import.meta.url), {
      leastIntervalMs: 1_000,
    }),
  });
  await boot();
});
afterAll(() => api.close());

test('are listed with their rule in words, their next three ticks and no run yet', async () => {
  expect(await listed()).toEqual({
    type: 'ticking',
    ...yearly,
    words: 'At 02:30, on day 29 of the month, only in March',
    missed: 'all',
    overlap: 'queue',
    release: '1.0.0',
    next: [expect.any(String), expect.any(String), expect.any(String)],
    running: [],
    last: null,
    skipped: null,
    paused: null,
  });
  const { next } = (await listed()) as { next: string[] };
  expect(next.map((time) => time.slice(4, 10))).toEqual(['-03-29', '-03-29', '-03-29']);
});

test('run now: one more job with the payload of the schedule, by name or alias; the next tick stays', async () => {
  const before = (await api.backend.queue('ticking').getJobScheduler('ticking'))?.next;
  const { status, json, headers } = await api.call('POST', '/v1/schedules/tick_tock/run');
  expect(status).toBe(202);
  expect(headers.get('location')).toBe(`/v1/jobs/${String(json['id'])}`);
  const job = await api.backend.queue('ticking').getJob(String(json['id']));
  expect(job?.data).toEqual({ ms: 150, fail: false });
  expect((await api.backend.queue('ticking').getJobScheduler('ticking'))?.next).toBe(before);
});

test('pause keeps owner and reason over starts, until resume', async () => {
  const reason = 'the feed sends rubbish';
  expect((await api.call('POST', '/v1/schedules/ticking/pause', { reason })).status).toBe(200);
  expect((await api.call('POST', '/v1/schedules/ticking/pause', { reason, by: 'ada' })).status).toBe(200);
  await boot();
  expect(await listed()).toMatchObject({ paused: { by: 'ada', reason, since: expect.any(String) } });
  expect((await api.call('POST', '/v1/schedules/ticking/resume')).json).toEqual({ type: 'ticking', paused: null });
  expect((await api.call('POST', '/v1/schedules/ticking/resume')).status).toBe(200);
  expect(await listed()).toMatchObject({ paused: null });
});

test('the next tick is a job like others, which only its schedule can stop', async () => {
  const next = (await api.backend.queue('ticking').getJobScheduler('ticking'))?.next ?? 0;
  const id = slotJobId('ticking', next);
  expect((await api.call('GET', `/v1/jobs/${id}`)).json).toMatchObject({ id, status: 'delayed', maxAttempts: 3 });
  expect((await api.call('GET', '/v1/jobs?status=delayed')).json['items']).toMatchObject([{ id }]);
  expect(await api.call('DELETE', `/v1/jobs/${id}`)).toMatchObject({ status: 409, json: { code: 'CONFLICT' } });
  expect((await api.call('GET', `/v1/jobs/${slotJobId('ticking', next + 1)}`)).status).toBe(404);
});

test('unknown ones, pauses without a reason and keys without the scope are refused', async () => {
  expect((await api.call('POST', '/v1/schedules/no-such/run')).status).toBe(404);
  expect((await api.call('POST', '/v1/schedules/ticking/pause', {})).status).toBe(400);
  const { key } = await createKeys({ records: api.backend.records }).create({ tenant: 'acme', scopes: ['jobs'] });
  const { status } = await api.call('GET', '/v1/schedules', undefined, { authorization: `Bearer ${key}` });
  expect(status).toBe(403);
});
