import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { showDeadLetter } from '../cli/dead-letters.ts';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { printed } from '../tests/support/printed.ts';
import { createKeys } from './keys.ts';

let api: TestApi;
let acme: string;
beforeAll(async () => {
  api = await openTestApi();
  const keys = createKeys({ records: api.backend.records });
  acme = (await keys.create({ tenant: 'acme', scopes: ['jobs'] })).key;
  const mail = (to: string, tenant: string) =>
    api.client.enqueueNamed('email-sending', { to, template: 'welcome' }, { tenant, attempts: 1 });
  await Promise.all([mail('a@example.com', '-'), mail('b@example.com', '-'), mail('c@example.com', 'acme')]);
  let failed = 0;
  const { worker } = api.backend.worker(
    'email-sending',
    async ({ data }) => {
      throw new Error(`NETWORK: no way to ${String(data.to)} in ${String(data.to).length} ms`);
    },
    { concurrency: 1, leaseMs: 30_000, backoff: () => -1 },
  );
  const allFailed = new Promise<void>((resolve) => {
    worker.on('failed', () => {
      failed += 1;
      if (failed === 3) resolve();
    });
  });
  void worker.run();
  await allFailed;
  await worker.close();
});
afterAll(() => api.close());

test('a failed job shows its code; addresses in the message are masked', async () => {
  const { json } = await api.call('GET', '/v1/jobs?status=failed');
  const items = json['items'];
  expect(items).toHaveLength(3);
  expect(items).toContainEqual(
    expect.objectContaining({
      status: 'failed',
      attempt: 1,
      error: { code: 'NETWORK', message: expect.stringContaining('a***@example.com') },
    }),
  );
});

test('are listed, paged and grouped by signature', async () => {
  const first = await api.call('GET', '/v1/dead-letters?limit=2&queue=email_sending');
  expect(first.json['items']).toHaveLength(2);
  const rest = await api.call('GET', `/v1/dead-letters?limit=2&cursor=${String(first.json['cursor'])}`);
  expect(rest.json['items']).toHaveLength(1);
  expect(rest.json['cursor']).toBeNull();
  expect(first.text + rest.text).not.toContain('a@example.com');
  const { json } = await api.call('GET', '/v1/dead-letters/groups');
  expect(json['groups']).toEqual([
    expect.objectContaining({
      queue: 'email-sending',
      code: 'NETWORK',
      count: 3,
      sample: expect.stringContaining('***@example.com'),
    }),
  ]);
});

test('one is shown with what happened to it, over HTTP and on the command line', async () => {
  const { json } = await api.call('GET', '/v1/dead-letters?tenant=acme');
  const { id } = z.tuple([z.object({ id: z.string() })]).parse(json['items'])[0];
  const { records } = api.backend;
  const causes = [{ cause: 'crash', at: 1_700_000_000_000 }];
  await records.putIfAbsent(`run:email-sending:${id}`, JSON.stringify({ interrupted: 1, causes, deaths: 2 }), 60_000);
  await records.putIfAbsent(`once:email-sending:${id}:mail`, '{"state":"begun","fence":1}', 60_000);
  const { status, json: shown, text } = await api.call('GET', `/v1/dead-letters/${id}`);
  expect(status).toBe(200);
  expect(text).not.toContain('c@example.com');
  expect(shown).toMatchObject({
    id,
    code: 'NETWORK',
    tenant: 'acme',
    evidence: {
      run: 1,
      failures: [],
      interruptions: 1,
      causes: [{ cause: 'crash', at: '2023-11-14T22:13:20.000Z' }],
      deaths: 2,
      suspect: false,
      fence: 1,
      effects: [{ key: 'mail', state: 'begun', fence: 1 }],
      effectApplied: 'perhaps',
    },
    links: { self: `/v1/dead-letters/${id}`, job: `/v1/jobs/${id}` },
  });
  const said = await printed(api, (server) => showDeadLetter(id, server));
  expect(said).toContain('interrupted 1 times: crash 2023-11-14T22:13:20.000Z');
  expect(said).toContain('effects: mail (may have happened)');
  expect((await api.call('GET', `/v1/dead-letters/${id}?queue=email_sending`)).status).toBe(200);
  const headers = { authorization: `Bearer ${acme}` };
  expect((await api.call('GET', `/v1/dead-letters/${id}`, undefined, headers)).status).toBe(403);
  expect((await api.call('GET', '/v1/dead-letters/unknown')).status).toBe(404);
});

test('a dry run counts and changes nothing; a redrive puts them back once', async () => {
  const body = { filter: { queue: 'email-sending', tenant: 'acme' } };
  const plan = await api.call('POST', '/v1/dead-letters/redrive', { ...body, dryRun: true });
  expect(plan).toMatchObject({ status: 200, json: { matched: 1, done: 1, refused: [] } });
  const done = await api.call('POST', '/v1/dead-letters/redrive', body);
  expect(done.json).toMatchObject({ matched: 1, done: 1 });
  const waiting = await api.call('GET', '/v1/jobs?status=waiting');
  expect(waiting.json['items']).toHaveLength(1);
  const again = await api.call('POST', '/v1/dead-letters/redrive', body);
  expect(again.json).toMatchObject({ matched: 0, done: 0 });
});

test('a discard deletes for good', async () => {
  const done = await api.call('POST', '/v1/dead-letters/discard', { filter: { code: 'NETWORK' } });
  expect(done.json).toMatchObject({ matched: 2, done: 2 });
  expect((await api.call('GET', '/v1/dead-letters')).json['items']).toEqual([]);
});

test('a key without the scope may not, and nonsense is refused', async () => {
  const headers = { authorization: `Bearer ${acme}` };
  expect((await api.call('POST', '/v1/dead-letters/redrive', { filter: {} }, headers)).status).toBe(403);
  for (const body of [
    {},
    { filter: null },
    { filter: { where: '1=1' } },
    { filter: { $where: 1 } },
    { filter: {}, dryRun: 'yes' },
    { filter: { ids: 'x' } },
    { filter: { queue: 'nope' } },
    { filter: { from: 'now' } },
  ]) {
    expect((await api.call('POST', '/v1/dead-letters/discard', body)).status).toBe(400);
  }
});
