/** `--json`: every command takes it and prints one JSON document. Those that stay (up, api, worker, dashboard): tests/json.live.test.ts. */

import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openReview } from '../backends/reviews.ts';
import { createSchedules } from '../backends/schedules.ts';
import { declaredSchedules } from '../jobs/schedule.ts';
import { createIds } from '../producers/ids.ts';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { printed } from '../tests/support/printed.ts';
import { jobfleet } from './commands.ts';
import { CliError } from './output.ts';

const newId = createIds();
const mail = { to: 'ada@example.com', template: 'welcome' };

let api: TestApi;
let folder: string;
beforeAll(async () => {
  api = await openTestApi();
  folder = await mkdtemp(join(tmpdir(), 'jobfleet-json-'));
  const nobody = { onLate: () => undefined, onAlert: () => undefined, onChange: () => undefined };
  await createSchedules({
    backend: api.backend,
    declared: declaredSchedules(api.registry.jobs.values()),
    release: '1.0.0',
    instance: 'a test',
    ...nobody,
  }).makeEqual();
  vi.stubEnv('QUEUE_URL', 'embedded:memory');
  vi.stubEnv('DATA_DIR', folder);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await api.close();
  await rm(folder, { recursive: true, force: true });
});

/** Each makes what its command needs and answers the arguments. */
const calls: Readonly<Record<string, () => Promise<readonly string[]>>> = {
  enqueue: async () => ['email-sending', '--payload', JSON.stringify(mail)],
  'jobs list': async () => [],
  'jobs show': async () => [await delayed()],
  'jobs watch': async () => [await cancelled()],
  'jobs edit': async () => [await delayed(), '--delay', '7200'],
  'jobs cancel': async () => [await delayed()],
  'queues list': async () => [],
  'queues pause': async () => ['data-export', '--reason', 'a test', '--for', '10m'],
  'queues resume': async () => ['data-export'],
  'tenants show': async () => ['acme'],
  'tenants set': async () => ['acme', '--weight', '2'],
  'keys create': async () => ['--tenant', 'acme'],
  'keys revoke': async () => [String((await api.call('POST', '/v1/keys', { tenant: 'acme' })).json['id'])],
  'workers list': async () => [],
  'workers tune': async () => ['data-export', '2'],
  'dead-letters list': async () => ['--from', '2026-01-01T00:00:00Z'],
  'dead-letters show': async () => [await dead()],
  'dead-letters redrive': async () => ['--id', await dead(), '--yes'],
  'dead-letters discard': async () => ['--id', await dead(), '--yes'],
  'reviews list': async () => [],
  'reviews show': async () => [await review()],
  'reviews approve': async () => [await review()],
  'reviews edit': async () => [await review(), '--data', '{"total_amount":31}'],
  'schedules list': async () => [],
  'schedules run': async () => ['ranking-update'],
  'schedules pause': async () => ['ranking-update', '--reason', 'a test'],
  'schedules resume': async () => ['ranking-update'],
  doctor: async () => [],
  healthcheck: async () => ['--port', new URL(api.url).port],
};
/** They print what they found and say it by their exit code as well. */
const hasVerdict = new Set(['doctor', 'jobs watch']);
const staying = ['up', 'api', 'worker', 'dashboard'];

async function delayed(): Promise<string> {
  return (await api.client.enqueueNamed('email-sending', mail, { delayMs: 3_600_000 })).id;
}

async function cancelled(): Promise<string> {
  const id = await delayed();
  await api.client.cancel(id);
  return id;
}

async function dead(): Promise<string> {
  const { id } = await api.client.enqueueNamed('notification-sending', notification, { attempts: 1 });
  const { worker } = api.backend.worker(
    'notification-sending',
    async () => {
      throw new Error('BAD_SOURCE: no');
    },
    { concurrency: 1, leaseMs: 30_000, backoff: () => -1 },
  );
  const failed = new Promise((resolve) => worker.once('failed', resolve));
  void worker.run();
  await failed;
  await worker.close();
  return id;
}
const notification = { userId: 'u', channel: 'in-app', title: 'Hello', body: 'There' };

async function review(): Promise<string> {
  const id = newId('document-ocr');
  const parts = { records: api.backend.records, objects: api.objects, now: () => api.backend.now() };
  const request = { data: { invoice_number: 'A-77', total_amount: 30 }, issues: ['sum'], confidence: 0.8, pages: [] };
  await openReview(parts, { queue: 'document-ocr', id, tenant: '-' }, request);
  return id;
}

/** `jobs list`, `doctor`: every command that does something. */
function leaves(command: Command, path: readonly string[] = []): [string, Command][] {
  if (command.commands.length === 0) return [[path.join(' '), command]];
  return command.commands.flatMap((one) => leaves(one, [...path, one.name()]));
}

test('is an option of every command, and every command is in the table', () => {
  const all = leaves(jobfleet());
  expect(all.filter(([, command]) => !command.options.some(({ long }) => long === '--json'))).toEqual([]);
  expect(all.map(([name]) => name).toSorted()).toEqual([...Object.keys(calls), ...staying].toSorted());
});

describe('prints one JSON document:', () => {
  test.each(Object.entries(calls))('%s', async (name, prepare) => {
    const local = name === 'doctor' || name === 'healthcheck';
    const given = await prepare();
    const text = await printed(api, async ({ url, key }) => {
      const server = local ? [] : ['--url', url, '--key', key];
      const run = jobfleet().parseAsync([...name.split(' '), ...given, ...server, '--json'], { from: 'user' });
      await run.catch((error: unknown) => {
        if (!(hasVerdict.has(name) && error instanceof CliError)) throw error;
      });
    });
    expect(JSON.parse(text)).toBeTypeOf('object');
  });

  test('healthcheck, of a port where nobody answers', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const address = taken.address();
    const port = typeof address === 'object' ? String(address?.port) : '';
    await new Promise((resolve) => taken.close(resolve));
    const text = await printed(api, async () => {
      const run = jobfleet().parseAsync(['healthcheck', '--json', '--port', port], { from: 'user' });
      await expect(run).rejects.toThrow('does not answer');
    });
    expect(JSON.parse(text)).toEqual({ url: `http://127.0.0.1:${port}/readyz`, status: null, ok: false });
  });
});
