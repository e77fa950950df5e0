/** Personal data and secrets that a job was given, looked for on every surface: nothing of them comes out. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Inbox, startInbox } from '../dashboard/inbox.ts';
import { dashboard } from '../dashboard/main.ts';
import { parseUsers } from '../dashboard/users.ts';
import dataExport from '../jobs/data-export/handler.ts';
import { defineJob } from '../jobs/define.ts';
import { loadRegistry } from '../jobs/registry.ts';
import { memoryDocuments } from '../runtime/documents-memory.ts';
import { parseEnv } from '../runtime/env.ts';
import { createLog } from '../runtime/log.ts';
import { createMetrics } from '../runtime/metrics.ts';
import { workersEnv } from '../workers/env.ts';
import { type Fleet, startWorkers } from '../workers/main.ts';
import { runJob } from '../workers/testing.ts';
import { openTestApi, type TestApi } from './support/api.ts';
import leaking from './support/leaky-jobs/leaking/job.ts';

/** By the name of the field that holds it; in a sentence behind the words that tell what it is. */
const planted: Readonly<Record<string, { readonly value: string; readonly said: string }>> = {
  bank_account: { value: '50100012345678', said: 'account no 50100012345678' },
  phone: { value: '9876543210', said: 'phone 9876543210' },
  mobile: { value: '+91 98765 01234', said: 'call +91 98765 01234' },
  pan: { value: 'AAPPV8261K', said: 'PAN AAPPV8261K' },
  aadhaar: { value: '2341 2341 2346', said: 'Aadhaar 2341 2341 2346' },
  email: { value: 'ada.lovelace@example.com', said: 'mail to ada.lovelace@example.com' },
  card: { value: '4012 8888 8888 1881', said: 'card 4012 8888 8888 1881' },
  gstin: { value: '27AAPFU0939F1ZV', said: 'GSTIN 27AAPFU0939F1ZV' },
  ifsc: { value: 'HDFC0000003', said: 'IFSC code HDFC0000003' },
  password: { value: 'open-sesame-of-the-test', said: 'password=open-sesame-of-the-test' },
  api_key: { value: 'key-number-of-the-test', said: 'api_key: key-number-of-the-test' },
  access_token: { value: 'token-word-of-the-test', said: 'Bearer token-word-of-the-test' },
};
const text = `${Object.values(planted)
  .map(({ said }) => said)
  .join('; ')}.`;
const fields = Object.fromEntries(Object.entries(planted).map(([name, { value }]) => [name, value]));

/** Which of them a text still holds, however they are written in it. */
const leaksIn = (surface: string): string[] => {
  const compact = surface.replaceAll(/[^A-Za-z0-9]/g, '');
  return Object.entries(planted)
    .filter(([, { value }]) => compact.includes(value.replaceAll(/[^A-Za-z0-9]/g, '')))
    .map(([name]) => name);
};

const lines: string[] = [];
const metrics = createMetrics();
const ids = new Map<'completed' | 'failed', string>();
let folder: string;
let api: TestApi;
let fleet: Fleet;
let inbox: Inbox;
let board: FastifyInstance;
let boardUrl: string;
let operator: Record<string, string>;
let owner: Record<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobfleet-masking-'));
  const registry = await loadRegistry(new URL('./support/leaky-jobs/', import.meta.url));
  api = await openTestApi({ registry });
  const { backend, client, objects } = api;
  const destination = new Writable({
    write: (chunk, _encoding, done) => {
      lines.push(String(chunk));
      done();
    },
  });
  const log = createLog({ name: 'test', destination, level: 'debug' });
  const env = parseEnv(workersEnv, { WORK_DIR: folder, LOG_SUCCESS_SAMPLE: '1' });
  fleet = await startWorkers({ registry, backend, client, objects, log, metrics, env, handlerEnv: {} });
  inbox = await startInbox({ dataDir: folder, log });
  board = fastify();
  const users = parseUsers('ada:admin:may-do-everything');
  await board.register(dashboard, { backend, registry, client, secrets: undefined, log, users, inbox });
  boardUrl = await board.listen({ host: '127.0.0.1', port: 0 });
  const keyOf = async (tenant: string, scopes: readonly string[]) => {
    const { json } = await api.call('POST', '/v1/keys', { tenant, scopes });
    return { authorization: `Bearer ${String(json['key'])}` };
  };
  owner = await keyOf('acme', ['jobs']);
  operator = await keyOf('ops', ['jobs', 'operator']);
  for (const end of ['completed', 'failed'] as const) {
    const { id } = await client.enqueue(leaking, { end, text, fields }, { tenant: 'acme', attempts: 1 });
    ids.set(end, id);
    await vi.waitFor(async () => expect((await client.status(id))?.status).toBe(end), 20_000);
  }
  log.error({ err: new Error(text), ...fields, note: text }, text);
});
afterAll(async () => {
  await fleet.stop(5_000);
  await board.close();
  await inbox.close();
  await api.close();
  await rm(folder, { recursive: true, force: true });
});

test('is found where it was given in full: the search works', () => {
  expect(leaksIn(JSON.stringify({ text, fields }))).toEqual(Object.keys(planted));
});

describe('nothing of it comes out', () => {
  test('of the log, in messages, fields and errors with their causes', () => {
    const all = lines.join('');
    expect(all).toContain(ids.get('failed'));
    expect(leaksIn(all)).toEqual([]);
  });

  test('of the errors, notes and lists of the API', async () => {
    const queries = ['status=failed', 'status=completed', `queue=${leaking.name}`];
    const paths = [
      `/v1/jobs/${ids.get('failed')}`,
      ...queries.map((query) => `/v1/jobs?${query}`),
      '/v1/dead-letters',
      '/v1/dead-letters/groups',
      '/v1/queues',
      '/v1/workers',
    ];
    for (const path of paths) {
      const answer = await api.call('GET', path);
      expect([path, answer.status]).toEqual([path, 200]);
      expect([path, leaksIn(answer.text)]).toEqual([path, []]);
    }
  });

  test('of results, for a key of another tenant that may see its jobs', async () => {
    const path = `/v1/jobs/${ids.get('completed')}`;
    const shown = await api.call('GET', path, undefined, operator);
    expect(shown.status).toBe(200);
    expect(leaksIn(shown.text)).toEqual([]);
    expect(shown.json['result']).toMatchObject({ fields: { phone: '******3210' } });
    const events = await api.call('GET', `${path}/events`, undefined, operator);
    expect(events.text).toContain('outcome');
    expect(leaksIn(events.text)).toEqual([]);
    // Its own tenant gets what it paid for; how the job went is masked for everybody.
    const own = await api.call('GET', path, undefined, owner);
    expect(own.json['result']).toEqual({ text, fields });
    expect(leaksIn(JSON.stringify({ ...own.json, result: null }))).toEqual([]);
  });

  test.each(['completed', 'failed'] as const)('of the board, of a job that has %s', async (end) => {
    const authorization = `Basic ${Buffer.from('ada:may-do-everything').toString('base64')}`;
    const queue = `/board/api/queues/${leaking.name}/${ids.get(end)}`;
    const all = `/board/api/queues?activeQueue=${leaking.name}&status=${end}&page=1&jobsPerPage=10`;
    for (const path of [queue, `${queue}/logs`, all]) {
      const answer = await fetch(boardUrl + path, { headers: { authorization } });
      const json = await answer.text();
      expect([path, answer.status]).toEqual([path, 200]);
      expect([path, leaksIn(json)]).toEqual([path, []]);
    }
  });

  test('of the metrics', async () => {
    const own = await metrics.text();
    expect(own).toContain(`queue="${leaking.name}"`);
    expect(leaksIn(own)).toEqual([]);
    expect(leaksIn((await api.call('GET', '/metrics')).text)).toEqual([]);
  });

  test.each(['csv', 'json', 'jsonl'])('of an export as %s', async (format) => {
    const { collections } = defineJob({ ...dataExport.job, collections: { people: {} } });
    const documents = memoryDocuments(collections);
    await documents.of('-').put('people', { _id: 'a', ...fields, note: text });
    const columns = [...Object.keys(fields), 'note'].map((field) => ({ field }));
    await using run = await runJob(dataExport, { collection: 'people', columns, format }, { documents });
    const key = String(Reflect.get(Object(run.result), 'key')).slice('object:'.length);
    const found = await run.objects.get(key);
    const file = found === undefined ? '' : (await buffer(found.body)).toString();
    expect(file).toContain('****');
    expect(leaksIn(file)).toEqual([]);
  });
});
