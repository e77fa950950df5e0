/** A provider that breaks down in the middle of the work of a fleet, and comes back. */
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { listWorkers } from '../backends/worker-list.ts';
import notificationSending from '../jobs/notification-sending/job.ts';
import { openStage, type Stage } from './support/fleet.ts';
import { answer, openReceiver, type Receiver } from './support/receivers.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });
const count = 60;

let stage: Stage;
let receiver: Receiver;
beforeAll(async () => {
  [stage, receiver] = await Promise.all([openStage('embedded', 'real'), openReceiver(answer(500))]);
});
afterAll(async () => {
  await stage.close();
  await receiver.close();
});

it('is left alone after five failures; its jobs wait without an attempt spent, one finds out, and the others come as a ramp', async () => {
  const { backend, client } = await stage.open();
  await stage.start({
    QUEUES: 'notification-sending',
    // Nobody dies here: no lease may end on a machine that has much else to do.
    LEASE_MS: '10000',
    HTTP_ALLOW: receiver.host,
    TWILIO_ACCOUNT_SID: 'AC1',
    TWILIO_AUTH_TOKEN: 'token-of-the-test',
    TWILIO_FROM: '+15005550006',
    TWILIO_URL: receiver.url,
  });
  const circuits = async () => (await listWorkers(backend.records)).flatMap((worker) => worker.circuits);
  const send = (n: number) =>
    client.enqueue(notificationSending, {
      channel: 'sms',
      userId: `user_${n}`,
      to: '+919812345678',
      body: `n${n}`,
      urgent: true,
    });
  const jobs = [];
  for (let n = 0; n < count; n += 1) jobs.push(await send(n));
  await expect.poll(circuits, { timeout: 20_000, interval: 20 }).toEqual([{ name: 'sms', state: 2 }]);
  // Those that were under way at the fifth failure are the last for now.
  const atOpening = receiver.received.length;
  expect(atOpening).toBeGreaterThanOrEqual(5);
  expect(atOpening).toBeLessThanOrEqual(5 + notificationSending.policy.concurrency);

  let running = 0;
  const together: number[] = [];
  receiver.respond((response) => {
    running += 1;
    together.push(running);
    setTimeout(() => {
      running -= 1;
      response.writeHead(201).end('{"sid":"SM1"}');
    }, 50);
  });
  const ended = await Promise.all(jobs.map(({ id }) => stage.reaches(id, 'completed', 'failed')));
  expect(ended.map(({ status }) => status)).toEqual(jobs.map(() => 'completed'));
  const failures = ended.reduce((sum, { attempt }) => sum + attempt - 1, 0);
  expect(failures).toBe(atOpening);
  expect(receiver.received).toHaveLength(count + atOpening);
  // The probe alone, then no more at a time than succeeded before.
  for (const [place, width] of together.entries()) expect(width).toBeLessThanOrEqual(Math.max(1, place));
  await expect.poll(circuits, { timeout: 20_000 }).toEqual([]);
});
