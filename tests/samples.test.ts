/** The scheduled samples of examples/jobs, against real servers. */
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { expect, test, vi } from 'vitest';
import { startKeeper } from '../backends/keeper.ts';
import { keepSchedules } from '../cli/keep-schedules.ts';
import backup from '../examples/jobs/collection-backup/handler.ts';
import report from '../examples/jobs/fleet-report/handler.ts';
import { changesOf } from '../examples/jobs/rate-alert/changes.ts';
import rateAlert from '../examples/jobs/rate-alert/handler.ts';
import emailSending from '../jobs/email-sending/job.ts';
import { loadRegistry } from '../jobs/registry.ts';
import { mergeCollections } from '../runtime/documents.ts';
import { memoryDocuments } from '../runtime/documents-memory.ts';
import { parseEnv } from '../runtime/env.ts';
import { createLog } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { mongoPools, openDocuments } from '../runtime/open-documents.ts';
import { workersEnv } from '../workers/env.ts';
import { startWorkers } from '../workers/main.ts';
import { runJob } from '../workers/testing.ts';
import { openTestApi } from './support/api.ts';
import { answer, openReceiver } from './support/receivers.ts';
import { loadWithExamples } from './support/registries.ts';
import { openSmtpSink } from './support/smtp-sink.ts';

test('are job types with a schedule that can run', async () => {
  const { jobs } = await loadRegistry(new URL('../examples/jobs/', import.meta.url));
  const scheduled = [...jobs.values()].filter(({ schedule }) => schedule !== undefined);
  expect(scheduled.map(({ name }) => name)).toEqual(['collection-backup', 'fleet-report', 'rate-alert']);
  for (const job of scheduled) expect(job.payload.safeParse(job.schedule?.payload)).toMatchObject({ success: true });
});

test.each([
  [103, undefined],
  [103.01, 'medium'],
  [105, 'medium'],
  [105.01, 'high'],
  [110, 'high'],
  [110.01, 'anomaly'],
  [96.9, 'medium'],
  [80, 'anomaly'],
])('a rate that moved from 100 to %d is %s', (rate, severity) => {
  const limits = { alertPercent: 3, highPercent: 5, anomalyPercent: 10 };
  expect(changesOf({ INR: 100, USD: 1 }, { INR: rate, USD: 1, NEW: 5 }, limits)[0]?.severity).toBe(severity);
});

test('rate-alert tells of each change once, also when it runs again, and keeps the newest rates', async () => {
  const rates = (at: string, INR: number) => answer(200, {}, { base: 'EUR', at, rates: { INR, USD: 1.1 } });
  const source = await openReceiver(rates('2026-11-21T00:00:00Z', 100));
  const documents = memoryDocuments(rateAlert.job.collections);
  const look = async () => {
    const http = { allow: [source.host] };
    await using run = await runJob(rateAlert, { url: source.url }, { documents, http });
    return run;
  };
  expect((await look()).result).toEqual({ compared: 2, alerts: 0 });
  source.respond(rates('2026-11-21T01:00:00Z', 106));
  const changed = await look();
  expect(changed.result).toEqual({ compared: 2, alerts: 1 });
  expect(changed.enqueued).toMatchObject([
    {
      type: 'notification-sending',
      payload: { channel: 'in-app', userId: 'operations', title: 'EUR/INR +6.0 % (high)' },
      key: 'rate-alert_TEST/INR/2026-11-21T01:00:00Z',
    },
  ]);
  expect((await look()).result).toEqual({ compared: 2, alerts: 0 });
  source.respond(answer(200, {}, 'no rates'));
  expect((await look()).outcome).toEqual({ state: 'dead', code: 'BAD_SOURCE' });
  source.respond(answer(404));
  expect((await look()).outcome).toMatchObject({ state: 'retry', code: 'HTTP_404' });
  await source.close();
});

test('collection-backup holds every document, and the same day again replaces it', async () => {
  const documents = memoryDocuments(backup.job.collections);
  const all = Array.from({ length: 2_500 }, (_, n) => ({ _id: `d${String(n).padStart(4, '0')}`, n, text: 'हिन्दी\n"' }));
  for (let at = 0; at < all.length; at += 1_000) await documents.of('-').putMany('rates', all.slice(at, at + 1_000));
  await using run = await runJob(backup, { collection: 'rates' }, { documents });
  expect(run.result).toMatchObject({ documents: 2_500 });
  const keys: string[] = [];
  for await (const { key } of run.objects.list('')) keys.push(key);
  expect(keys).toEqual([`t/-/backups/rates/${new Date().toISOString().slice(0, 10)}.jsonl.gz`]);
  const stored = await run.objects.get(keys[0] ?? '');
  if (stored === undefined) throw new Error('nothing was stored');
  const lines = gunzipSync(await buffer(stored.body))
    .toString('utf8')
    .trimEnd()
    .split('\n');
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(all);
});

test('fleet-report mails what the API says', async () => {
  const api = await openTestApi();
  await api.client.enqueue(emailSending, { to: 'ada@example.com', template: 'welcome' });
  const env = { REPORT_API_URL: api.url, REPORT_API_KEY: api.key };
  const http = { allow: [new URL(api.url).host] };
  await using run = await runJob(report, { to: 'operations@example.com' }, { env, http });
  expect([run.outcome, run.error]).toEqual([{ state: 'done' }, undefined]);
  const [mail] = run.enqueued;
  expect(emailSending.payload.parse(mail?.payload)).toMatchObject({
    to: 'operations@example.com',
    template: 'report',
    variables: {
      rows: [
        { label: 'Workers', value: '0' },
        { label: 'email-sending', value: '1 wait, 0 dead' },
      ],
    },
  });
  await api.close();
});

test('each is run by the ticks of its schedule, in a fleet', async () => {
  let rate = 100;
  const source = await openReceiver((response, received, request) => {
    rate *= 1.06;
    const rates = { base: 'EUR', at: new Date().toISOString(), rates: { INR: rate } };
    answer(200, {}, rates)(response, received, request);
  });
  const sink = await openSmtpSink();
  const registry = await loadWithExamples();
  const api = await openTestApi({ registry });
  const { backend, client, objects } = api;
  const collections = mergeCollections([...registry.jobs.values()].map((job) => job.collections));
  const documents = await openDocuments(collections, {
    mongoUrl: undefined,
    sql: backend.sql,
    pool: mongoPools.worker,
  });
  const [log, metrics, instance] = [createLog({ name: 'test', level: 'silent' }), createMetrics(), 'samples'];
  // As declared, but every second, and with a source of rates that is there.
  const soon = [...registry.jobs].flatMap(([name, job]) => {
    const { schedule } = job;
    if (schedule === undefined || !registry.handlerUrl(name).includes('/examples/')) return [];
    const payload: unknown = name === 'rate-alert' ? { url: source.url } : schedule.payload;
    return [[name, { ...job, schedule: { ...schedule, cron: '* * * * * *', payload } }] as const];
  });
  const parts = { backend, metrics, log, instance, release: '0.0.0' };
  const schedules = keepSchedules({ ...parts, registry: { ...registry, jobs: new Map(soon) } });
  const chores = [...backend.chores, schedules.chore];
  const keeper = startKeeper({ records: backend.records, instance, chores, onError: () => undefined });
  const fleet = await startWorkers({
    ...parts,
    registry,
    client,
    objects,
    documents,
    env: parseEnv(workersEnv, { HTTP_ALLOW: `${source.host},${new URL(api.url).host}` }),
    handlerEnv: { REPORT_API_URL: api.url, REPORT_API_KEY: api.key, SMTP_URL: sink.url },
    queues: [...soon.map(([name]) => name), 'email-sending', 'notification-sending'],
  });
  await vi.waitFor(async () => {
    const { items } = (await documents?.of('-').page('notifications', {})) ?? { items: [] };
    expect(items.map(({ title }) => title)).toContain('EUR/INR +6.0 % (high)');
    const keys: string[] = [];
    for await (const { key } of objects.list('t/-/backups/rates/')) keys.push(key);
    expect(keys.length).toBeGreaterThan(0);
    expect(sink.mails.map(({ to }) => to)).toContainEqual(['operations@example.com']);
  }, 45_000);
  for (const [name] of soon) expect((await backend.queue(name).getJobCounts('failed'))['failed']).toBe(0);
  await keeper.close();
  await fleet.stop(5_000);
  await documents?.close();
  await api.close();
  await sink.close();
  await source.close();
});
