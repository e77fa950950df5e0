import { afterAll, beforeAll, expect, it } from 'vitest';
import emailSending from '../jobs/email-sending/job.ts';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { connect } from './connection.ts';
import { follow } from './follow.ts';

let api: TestApi;
const mail = { to: 'ada@example.com', template: 'welcome' } as const;
beforeAll(async () => {
  api = await openTestApi({ env: { EVENT_STREAMS: '1' } });
});
afterAll(() => api.close());

it('tells each state of a job until it has ended, and waits for a free stream', async () => {
  const server = await connect({ url: api.url, key: api.key }, {});
  const ids: string[] = [];
  for (let at = 0; at < 2; at += 1) ids.push((await api.client.enqueue(emailSending, mail, { delayMs: 3_600_000 })).id);
  const seen: string[] = [];
  const following = ids.map((id) =>
    follow(server, id, ({ status }) => {
      seen.push(status);
      // The first one frees the only stream there is.
      if (status === 'delayed') void api.client.cancel(id);
    }),
  );
  await Promise.all(following);
  expect(seen).toEqual(['delayed', 'cancelled', 'delayed', 'cancelled']);
});

it('says what the server says of a job that is not there', async () => {
  const server = await connect({ url: api.url, key: api.key }, {});
  await expect(follow(server, 'email-sending_nothing', () => undefined)).rejects.toThrow('NOT_FOUND');
});
