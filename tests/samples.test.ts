/** The scheduled samples of examples/jobs, against real servers. */
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import backup from '../examples/jobs/collection-backup/handler.ts';
import report from '../examples/jobs/fleet-report/handler.ts';
import { changesOf } from '../examples/jobs/rate-alert/changes.ts';
import rateAlert from '../examples/jobs/rate-alert/handler.ts';
import emailSending from '../jobs/email-sending/job.ts';
import { loadRegistry } from '../jobs/registry.ts';
import { memoryDocuments } from '../runtime/documents-memory.ts';
import { runJob } from '../workers/testing.ts';
import { openTestApi } from './support/api.ts';
import { answer, openReceiver } from './support/receivers.ts';

test('are job types with a schedule that can run', async () => {
  const { jobs } = await loadRegistry(new URL('../examples/jobs/', import.meta.url));
  expect([...jobs.keys()]).toEqual(['collection-backup', 'fleet-report', 'rate-alert']);
  for (const job of jobs.values())
    expect(job.payload.safeParse(job.schedule?.payload)).toMatchObject({ success: true });
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
