/** P7: any sequence of calls with the same keys gives one job per key and the right answer, over HTTP and in the client. */
import { array, assert, asyncProperty, constantFrom, record } from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTestApi, type TestApi } from '../tests/support/api.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

const runs = Number(process.env['PROPERTY_RUNS'] ?? 60);
const mailTo = (to: string) => ({ to, template: 'welcome' as const });

test('P7: a key names one job; another body is 422; another tenant is another world', async () => {
  const { createKeys } = await import('./keys.ts');
  const keys = createKeys({ records: api.backend.records });
  const acme = await keys.create({ tenant: 'acme', scopes: ['jobs'] });
  const bearer = { acme: acme.key, own: api.key } as const;
  let round = 0;
  const call = record({
    who: constantFrom('own' as const, 'acme' as const),
    key: constantFrom('k1', 'k2'),
    to: constantFrom('a@example.com', 'b@example.com'),
    type: constantFrom('email-sending', 'email_sending'),
  });
  await assert(
    asyncProperty(array(call, { minLength: 1, maxLength: 6 }), async (calls) => {
      round += 1;
      const known = new Map<string, { readonly to: string; readonly id: string }>();
      for (const { who, key, to, type } of calls) {
        const headers = { authorization: `Bearer ${bearer[who]}`, 'idempotency-key': `${round}-${key}` };
        const answer = await api.call('POST', '/v1/jobs', { type, payload: mailTo(to) }, headers);
        const before = known.get(`${who}/${key}`);
        const id = String(answer.json['id']);
        if (before === undefined) {
          if (answer.status !== 202 || answer.json['duplicate'] !== false) return false;
          known.set(`${who}/${key}`, { to, id });
        } else if (before.to === to) {
          const isReplay = answer.status === 202 && answer.headers.get('idempotent-replayed') === 'true';
          if (!isReplay || id !== before.id) return false;
        } else if (answer.status !== 422) return false;
      }
      return new Set([...known.values()].map(({ id }) => id)).size === known.size;
    }),
    { numRuns: runs },
  );
  expect(round).toBeGreaterThanOrEqual(runs);
});

test('100 calls at once with one key store one job; 99 are duplicates with its id', async () => {
  const email = api.registry.find('email-sending');
  if (email === undefined) throw new Error('expected the type email-sending');
  const before = await api.backend.queue('email-sending').getJobCountByTypes('waiting', 'prioritized');
  const answers = await Promise.all(
    Array.from({ length: 100 }, () => api.client.enqueue(email, mailTo('c@example.com'), { idempotencyKey: 'burst' })),
  );
  expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
  expect(answers.filter(({ duplicate }) => duplicate)).toHaveLength(99);
  expect(await api.backend.queue('email-sending').getJobCountByTypes('waiting', 'prioritized')).toBe(before + 1);
});

test('a call that died between its record and the store is finished by its repeat', async () => {
  const id = `email-sending_${'0'.repeat(25)}1`;
  const { fingerprint } = await import('./canonical.ts');
  const payload = mailTo('d@example.com');
  const record = { id, fingerprint: fingerprint({ type: 'email-sending', payload, options: {} }), state: 'open' };
  await api.backend.records.putIfAbsent('idem:-:POST /v1/jobs:died', JSON.stringify(record), 60_000);
  const headers = { 'idempotency-key': 'died' };
  const answer = await api.call('POST', '/v1/jobs', { type: 'email-sending', payload }, headers);
  expect(answer).toMatchObject({ status: 202, json: { id } });
  expect((await api.call('GET', `/v1/jobs/${id}`)).json['status']).toBe('waiting');
});

test('REQUIRE_IDEMPOTENCY_KEY refuses calls without one', async () => {
  const strict = await openTestApi({ env: { REQUIRE_IDEMPOTENCY_KEY: 'true' } });
  try {
    const body = { type: 'email-sending', payload: mailTo('e@example.com') };
    expect((await strict.call('POST', '/v1/jobs', body)).status).toBe(400);
    expect((await strict.call('POST', '/v1/jobs', body, { 'idempotency-key': 'k' })).status).toBe(202);
  } finally {
    await strict.close();
  }
});
