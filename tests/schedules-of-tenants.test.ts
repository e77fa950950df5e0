/** Schedules that stand for every tenant: 1 May and the feeds come to all who keep something, and to nobody else. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createSchedules } from '../backends/schedules.ts';
import { slotJobId } from '../backends/slot-id.ts';
import newsAggregation from '../jobs/news-aggregation/job.ts';
import rankingUpdate from '../jobs/ranking-update/job.ts';
import { loadRegistry } from '../jobs/registry.ts';
import { declaredSchedules } from '../jobs/schedule.ts';
import { type Documents, mergeCollections } from '../runtime/documents.ts';
import { memoryDocuments } from '../runtime/documents-memory.ts';
import { parseEnv } from '../runtime/env.ts';
import { createLog } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { workersEnv } from '../workers/env.ts';
import { type Fleet, startWorkers } from '../workers/main.ts';
import { openTestApi, type TestApi } from './support/api.ts';
import { answer, openReceiver, type Receiver } from './support/receivers.ts';

const waitMs = 30_000;
const holders = ['-', 'acme', 'zeta-1'];
let folder: string;
let documents: Documents;
let api: TestApi;
let fleet: Fleet;
let receiver: Receiver;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobfleet-tenants-'));
  receiver = await openReceiver(
    answer(
      200,
      { 'content-type': 'application/rss+xml' },
      '<rss version="2.0"><channel><title>t</title></channel></rss>',
    ),
  );
  const registry = await loadRegistry();
  documents = memoryDocuments(mergeCollections([...registry.jobs.values()].map((job) => job.collections)));
  for (const tenant of holders) {
    await documents.of(tenant).put('ranking_tables', { _id: 'odi/male/elo', inputs: 0 });
    const url = `${receiver.url}/${tenant}`;
    const due = { isFollowed: true, isDisabled: false, nextAt: '2026-01-01T00:00:00.000Z', url };
    await documents.of(tenant).put('feeds', { _id: url, ...due });
  }
  await documents.of('idle').put('news', { _id: 'x' });
  api = await openTestApi({ registry, documents });
  const { backend, client, objects } = api;
  const nobody = { onLate: () => undefined, onAlert: () => undefined, onChange: () => undefined };
  const declared = declaredSchedules(registry.jobs.values()).map((one) => ({ ...one, cron: '30 2 29 3 *' }));
  await createSchedules({ backend, declared, release: '1.0.0', instance: 'test', ...nobody }).makeEqual();
  fleet = await startWorkers({
    registry,
    backend,
    client,
    objects,
    documents,
    log: createLog({ name: 'test', level: 'silent' }),
    metrics: createMetrics(),
    env: parseEnv(workersEnv, { WORK_DIR: folder, HTTP_ALLOW: receiver.host }),
    handlerEnv: {},
    queues: [rankingUpdate.name, newsAggregation.name],
  });
});
afterAll(async () => {
  await fleet.stop(5_000);
  await api.close();
  await receiver.close();
  await rm(folder, { recursive: true, force: true });
});

const resultOf = (id: string) =>
  vi.waitFor(async () => {
    const job = await api.client.status(id);
    expect([job?.status, job?.error]).toEqual(['completed', null]);
    return job?.result;
  }, waitMs);

/** Tenants by how many jobs of the type each has, when no job is left. */
const settled = (type: string) =>
  vi.waitFor(async () => {
    const queue = api.backend.queue(type);
    // The next tick is always there, delayed.
    const open = await queue.getJobCounts('waiting', 'active', 'prioritized');
    expect(Object.values(open).reduce((sum, count) => sum + count, 0)).toBe(0);
    const counts: Record<string, number> = {};
    for (const { opts } of await queue.getJobs(['completed'])) {
      const facts: { readonly tenant?: string } = Object(Reflect.get(opts, 'jobfleet'));
      counts[facts.tenant ?? '-'] = (counts[facts.tenant ?? '-'] ?? 0) + 1;
    }
    return counts;
  }, waitMs);

test('a tick adds one job for each tenant that keeps rankings, which recomputes its formats', async () => {
  const id = slotJobId(rankingUpdate.name, Date.parse('2026-05-01T00:05:00Z'));
  await api.backend.queue(rankingUpdate.name).add(rankingUpdate.name, { method: 'icc' }, { jobId: id });
  expect(await resultOf(id)).toEqual({ tenants: 3 });
  // Its own job and one for each of three formats; the tick itself is of nobody.
  expect(await settled(rankingUpdate.name)).toEqual({ '-': 5, acme: 4, 'zeta-1': 4 });
});

test('so does a run on demand, and the feeds of every tenant are fetched', async () => {
  const run = await api.call('POST', `/v1/schedules/${newsAggregation.name}/run`);
  expect(run.status).toBe(202);
  expect(await resultOf(String(run.json['id']))).toEqual({ tenants: 3 });
  expect(await settled(newsAggregation.name)).toEqual({ '-': 3, acme: 2, 'zeta-1': 2 });
  expect(receiver.received.map(({ path }) => path).toSorted()).toEqual(
    holders.map((tenant) => `/${tenant}`).toSorted(),
  );
});

test('a job that a tenant adds itself is its own, whoever the tenant is', async () => {
  const before = await settled(rankingUpdate.name);
  const { id } = await api.client.enqueue(rankingUpdate, {});
  expect(await resultOf(id)).toMatchObject({ tables: [] });
  const after = await settled(rankingUpdate.name);
  expect(after).toEqual({ ...before, '-': (before['-'] ?? 0) + 4 });
});
