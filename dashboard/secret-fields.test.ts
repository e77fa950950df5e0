/** Secret fields on the board: never shown, never taken in, kept through an edit. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadRegistry } from '../jobs/registry.ts';
import { createSecretBox } from '../runtime/secret-box.ts';
import { openTestDashboard, passwords, type TestDashboard } from '../tests/support/dashboard.ts';
import vaulted from '../tests/support/secret-jobs/vaulted/job.ts';

const queue = '/board/api/queues/vaulted';
const token = 'planted-on-the-board';
const authorization = `Basic ${Buffer.from(`otto:${passwords.otto}`).toString('base64')}`;
let stage: TestDashboard;
let withoutKey: TestDashboard;

beforeAll(async () => {
  const registry = await loadRegistry(new URL('../tests/support/secret-jobs/', import.meta.url));
  const secrets = createSecretBox([{ id: 'a', key: 'a'.repeat(32) }]);
  [stage, withoutKey] = await Promise.all([openTestDashboard({ registry, secrets }), openTestDashboard({ registry })]);
});
afterAll(async () => {
  await stage?.close();
  await withoutKey?.close();
});

async function call(path: string, method = 'GET', body?: unknown, { url } = stage) {
  const headers = { authorization, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
  const answer = await fetch(url + path, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, text, json: text.startsWith('{') ? JSON.parse(text) : {} };
}

const stored = async (id: string) => (await stage.backend.queue('vaulted').getJob(id))?.data;

test('a job with secrets is shown without them, and edited without seeing them', async () => {
  const accounts = [{ user: 'ada', pin: 11 }];
  const { id } = await stage.client.enqueue(vaulted, { token, accounts, note: 'n' }, { delayMs: 3_600_000 });
  const before = await stored(id);
  const shown = await call(`${queue}/${id}`);
  expect(shown.json.job.data).toMatchObject({ token: '[redacted]', accounts: [{ pin: '[redacted]' }], note: 'n' });
  expect((await call('/board/api/queues?activeQueue=vaulted&status=delayed')).text).not.toContain('$enc');
  const edited = { ...shown.json.job.data, note: 'other', accounts: [{ user: 'ada', pin: 12 }] };
  expect((await call(`${queue}/${id}/update-data`, 'PATCH', { jobData: edited })).status).toBe(200);
  const after = await stored(id);
  expect(after).toMatchObject({ note: 'other', token: { $enc: expect.any(String) } });
  expect(after.accounts[0].pin.$enc).not.toBe(before.accounts[0].pin.$enc);
  expect(JSON.stringify(after)).not.toContain('12');
  const foreign = { ...edited, token: { $enc: `a.${'A'.repeat(60)}` } };
  expect((await call(`${queue}/${id}/update-data`, 'PATCH', { jobData: foreign })).status).toBe(409);
  await stage.client.edit(id, { patch: { accounts: [] } });
  expect(await stored(id)).toMatchObject({ accounts: [], note: 'other' });
});

test('a job with secrets is not added on the board', async () => {
  const answer = await call(`${queue}/add`, 'POST', { name: '', data: { token }, options: {} });
  expect(answer.status).toBe(400);
  expect(answer.json.message).toContain('vaulted has secret fields: add its jobs with the client library');
  expect(await stage.backend.queue('vaulted').getJobCountByTypes('waiting')).toBe(0);
});

test('a board without the key shows such a job and leaves it alone', async () => {
  const json = JSON.stringify({ act: 'hash', token: { $enc: `a.${'A'.repeat(60)}` }, accounts: [], note: '' });
  const options = { delay: 3_600_000 };
  await withoutKey.backend.add('vaulted', { id: 'vaulted_x', name: 'vaulted', json, timestamp: Date.now(), options });
  const shown = await call(`${queue}/vaulted_x`, 'GET', undefined, withoutKey);
  const edited = { jobData: { ...shown.json.job.data, note: 'y' } };
  const answer = await call(`${queue}/vaulted_x/update-data`, 'PATCH', edited, withoutKey);
  expect(answer).toMatchObject({ status: 409, json: { message: expect.stringContaining('ENCRYPTION_KEY') } });
});
