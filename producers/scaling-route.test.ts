import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { putWorker } from '../backends/worker-list.ts';
import emailSending from '../jobs/email-sending/job.ts';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { createKeys, type Scope } from './keys.ts';

let api: TestApi;
const path = '/v1/scaling/email-sending';
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

const beat = (instance: string, ended5m: number, concurrency = 10) =>
  putWorker(api.backend.records, instance, {
    host: 'h',
    pid: 1,
    version: '0.0.0',
    startedAt: Date.now(),
    beatAt: Date.now(),
    clockOffMs: 0,
    memoryMb: 1,
    active: 0,
    p50Ms: null,
    p95Ms: null,
    notClaiming: null,
    circuits: [],
    queues: [
      { queue: 'email-sending', concurrency, active: 0, ended: 0, p50Ms: null, p95Ms: null, ended5m, meanMs5m: 3_000 },
    ],
  });

it('says what waits, what runs and how many processes that takes', async () => {
  expect((await api.call('GET', path)).json).toEqual({ queue: 'email-sending', backlog: 0, active: 0, desired: 0 });
  const payload = { to: 'ada@example.com', template: 'welcome' } as const;
  await api.client.enqueueMany(
    emailSending,
    Array.from({ length: 700 }, () => ({ payload })),
  );
  await api.client.enqueue(emailSending, payload, { delayMs: 3_600_000 });
  // Nobody knows yet how long a mail takes.
  expect((await api.call('GET', path)).json).toEqual({ queue: 'email-sending', backlog: 700, active: 0, desired: 1 });
  await beat('a', 200);
  await beat('b', 100);
  // 1 a second × 3 s, and 700 × 3 s in 60 s, over 10 at once.
  expect((await api.call('GET', `${path}?max=50`)).json).toMatchObject({ backlog: 700, desired: 4 });
  expect((await api.call('GET', '/v1/scaling/email_sending?max=3')).json).toMatchObject({ desired: 3 });
  expect((await api.call('GET', `${path}?min=7`)).json).toMatchObject({ desired: 7 });
  await beat('a', 200, 4);
  await beat('b', 100, 6);
  expect((await api.call('GET', path)).json).toMatchObject({ desired: 8 });
  await api.backend.queue('email-sending').pause();
  expect((await api.call('GET', path)).json).toMatchObject({ desired: 0 });
  await api.backend.queue('email-sending').resume();
});

it('refuses what makes no sense', async () => {
  for (const query of ['min=-1', 'max=x', 'min=5&max=4', 'other=1'])
    expect((await api.call('GET', `${path}?${query}`)).status, query).toBe(400);
  expect((await api.call('GET', '/v1/scaling/nothing')).status).toBe(404);
});

it('needs a key for nothing else, or an operator', async () => {
  const keys = createKeys({ records: api.backend.records });
  const ask = async (scope: Scope, route: string): Promise<number> => {
    const { key } = await keys.create({ tenant: '-', scopes: [scope] });
    return (await api.call('GET', route, undefined, { authorization: `Bearer ${key}` })).status;
  };
  expect(await Promise.all((['scaling', 'operator', 'jobs'] as const).map((scope) => ask(scope, path)))).toEqual([
    200, 200, 403,
  ]);
  expect(await ask('scaling', '/v1/jobs')).toBe(403);
});

it('is what the KEDA example in the documentation asks', async () => {
  const text = await readFile(new URL('../docs/operations.md', import.meta.url), 'utf8');
  const [, yaml = ''] = /```yaml\n(apiVersion: keda[\s\S]*?)```/.exec(text) ?? [];
  const field = (name: string) => new RegExp(`^\\s+${name}: "?([^"\\n]+)"?$`, 'm').exec(yaml)?.[1] ?? '';
  expect([field('authMode'), field('method'), field('targetValue'), field('metricType')]).toEqual([
    'bearer',
    '',
    '1',
    'AverageValue',
  ]);
  const asked = new URL(field('url'));
  const { status, json } = await api.call('GET', asked.pathname + asked.search);
  expect(status).toBe(200);
  expect(typeof json[field('valueLocation')]).toBe('number');
  expect(asked.searchParams.get('max')).toBe(field('maxReplicaCount'));
  expect(asked.searchParams.get('min')).toBe(field('minReplicaCount'));
  for (const name of ['parameter', 'name', 'key']) expect(yaml).toContain(`${name}: `);
});
