import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { ProducerError } from './errors.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

const mail = { to: 'ada@example.com', template: 'welcome' };
const queue = () => api.backend.queue('email-sending');

async function add(options: Parameters<TestApi['client']['enqueueNamed']>[2] = {}): Promise<string> {
  return (await api.client.enqueueNamed('email-sending', mail, options)).id;
}
const edit = (id: string, body: unknown) => api.call('PATCH', `/v1/jobs/${id}`, body);

describe('PATCH /v1/jobs/{id}', () => {
  test('patches the payload of a job that waits, or replaces it', async () => {
    const id = await add({ tenant: 'acme' });
    expect(await edit(id, { patch: { to: 'bob@example.com' } })).toMatchObject({
      status: 200,
      json: { id, status: 'waiting', attempt: 0 },
    });
    const before = await queue().getJob(id);
    expect(before?.data).toMatchObject({ to: 'bob@example.com', template: 'welcome' });
    expect(await edit(id, { payload: { ...mail, to: 'eve@example.com' } })).toMatchObject({ status: 200 });
    const after = await queue().getJob(id);
    expect(after?.data).toMatchObject({ to: 'eve@example.com' });
    expect(after?.opts).toEqual(before?.opts);
  });

  test('changes the delay of a delayed job, and starts it at once with 0', async () => {
    const id = await add({ delayMs: 3_600_000 });
    expect(await edit(id, { delayMs: 7_200_000 })).toMatchObject({ status: 200, json: { status: 'delayed' } });
    expect((await queue().getJob(id))?.delay).toBe(7_200_000);
    expect(await edit(id, { delayMs: 0, patch: { to: 'bob@example.com' } })).toMatchObject({ status: 200 });
    const waiting = await add();
    expect(await edit(waiting, { delayMs: 1_000 })).toMatchObject({ status: 409, json: { code: 'CONFLICT' } });
  });

  test('changes the level and with it the turn; only where jobs take turns', async () => {
    const ids = [await add({ tenant: 'acme' }), await add({ tenant: 'acme' })];
    const [, last = ''] = ids;
    const before = await queue().getJob(last);
    expect(await edit(last, { level: 'high' })).toMatchObject({ status: 200 });
    const after = await queue().getJob(last);
    expect(after?.opts).toMatchObject({ jobfleet: { tenant: 'acme', level: 'high', v: 1 } });
    expect(after?.priority).toBeLessThan(before?.priority ?? 0);
    expect(await edit(last, { level: 'normal' })).toMatchObject({ status: 200 });
    const again = await queue().getJob(last);
    expect(again?.opts).toMatchObject({ jobfleet: { tenant: 'acme', v: 1 } });
    expect(JSON.stringify(again?.opts)).not.toContain('high');
  });

  test('refuses what the type does not allow, and changes nothing', async () => {
    const startBy = new Date(Date.now() + 7_200_000).toISOString();
    const id = await add({ delayMs: 3_600_000, startBy });
    const refused: [unknown, string][] = [
      [{ patch: { to: 'nope' } }, 'payload.to'],
      [{ patch: { colour: 'red' } }, 'payload.colour'],
      [{ patch: { to: null } }, 'payload.to'],
      [{ payload: mail, patch: {} }, 'patch'],
      [{ delayMs: 7_300_000 }, 'delayMs'],
      [{ delayMs: -1 }, 'delayMs'],
      [{ level: 'urgent' }, 'level'],
      [{ tenant: 'other' }, 'tenant'],
      [{}, ''],
    ];
    for (const [body, path] of refused) {
      const answer = await edit(id, body);
      expect(answer, JSON.stringify(body)).toMatchObject({ status: 400, json: { code: 'INVALID' } });
      expect(JSON.stringify(answer.json['errors'])).toContain(`${path}"`);
    }
    expect(await queue().getJob(id)).toMatchObject({ delay: 3_600_000, data: mail });
  });

  test('answers 409 for a job that runs or has ended, 404 for what is not there or not yours', async () => {
    await queue().drain(true);
    const id = await add({ tenant: 'acme' });
    const change = { patch: { to: 'late@example.com' } };
    const answers: unknown[] = [];
    const { worker } = api.backend.worker('email-sending', async () => answers.push(await edit(id, change)), {
      concurrency: 1,
      leaseMs: 30_000,
      backoff: () => -1,
    });
    const ended = new Promise((resolve) => worker.once('completed', resolve));
    void worker.run();
    await ended;
    await worker.close();
    answers.push(await edit(id, change));
    expect(answers).toMatchObject([409, 409].map((status) => ({ status, json: { code: 'CONFLICT' } })));
    expect((await queue().getJob(id))?.data).toMatchObject(mail);
    expect(await api.client.edit(id, change, 'other')).toBeUndefined();
    expect(await edit('email-sending_01ARZ3NDEKTSV4RRFFQ69G5FAV', change)).toMatchObject({ status: 404 });
    await expect(api.client.edit(id, change, 'acme')).rejects.toBeInstanceOf(ProducerError);
  });
});
