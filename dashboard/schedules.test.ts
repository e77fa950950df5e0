import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTestDashboard, passwords, type TestDashboard } from '../tests/support/dashboard.ts';

const path = '/board/api/queues/email-sending/job-schedulers/email-sending';
const mail = { to: 'a@example.com', template: 'welcome' };
let stage: TestDashboard;
beforeAll(async () => {
  stage = await openTestDashboard();
  const rule = { pattern: '30 2 * * *', tz: 'Europe/Berlin' };
  const template = { name: 'email-sending', data: mail, opts: { attempts: 4 } };
  await stage.backend.queue('email-sending').upsertJobScheduler('email-sending', rule, template);
});
afterAll(() => stage.close());

async function call(method: string, url: string, body?: unknown) {
  const response = await fetch(stage.url + url, {
    method,
    headers: {
      authorization: `Basic ${Buffer.from(`otto:${passwords.otto}`).toString('base64')}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, json: text === '' ? {} : JSON.parse(text) };
}

test('the board shows the schedule and its next job', async () => {
  const { json } = await call('GET', '/board/api/job-schedulers');
  expect(json.schedulers).toMatchObject([{ id: 'email-sending', pattern: '30 2 * * *', queueName: 'email-sending' }]);
  const jobs = await call('GET', '/board/api/queues?activeQueue=email-sending&status=delayed&page=1&jobsPerPage=10');
  expect(jobs.status).toBe(200);
  expect(JSON.stringify(jobs.json)).toContain(String(json.schedulers[0].nextRunJobId));
});

test('run now adds a job of ours and leaves the next tick', async () => {
  const before = (await stage.backend.queue('email-sending').getJobScheduler('email-sending'))?.next;
  const { status, json } = await call('PUT', `${path}/run`);
  expect(status).toBe(200);
  expect(await stage.client.status(json.job.id)).toMatchObject({ status: 'waiting' });
  expect((await stage.backend.queue('email-sending').getJobScheduler('email-sending'))?.next).toBe(before);
});

test('changing and removing it are refused with the way that works', async () => {
  const edit = await call('PATCH', path, { pattern: '0 4 * * *' });
  const remove = await call('PUT', `${path}/remove`);
  for (const refused of [edit, remove])
    expect(refused).toMatchObject({ status: 409, json: { message: expect.stringContaining('declared in job.ts') } });
  expect(await stage.backend.queue('email-sending').getJobScheduler('email-sending')).toMatchObject({
    pattern: '30 2 * * *',
  });
});
