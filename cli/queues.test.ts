import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { printed } from '../tests/support/printed.ts';
import { listQueues, milliseconds, pauseQueue, resumeQueue } from './queues.ts';
import { listWorkers, tuneWorkers } from './workers.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

test('a pause says who, why and until when, in the list too, and ends', async () => {
  const wish = { reason: 'provider down', by: 'ada', for: '30m' };
  expect(await printed(api, (server) => pauseQueue('email-sending', { ...server, ...wish }))).toMatch(
    /^email-sending is paused by ada for \d s, until \d{4}-\S+Z: provider down\. What runs goes on to its end\.\n$/,
  );
  await printed(api, (server) => pauseQueue(undefined, { ...server, ...wish, tenant: 'acme' }));
  await printed(api, (server) => tuneWorkers('image-processing', '3', server));
  const list = await printed(api, listQueues);
  expect(list).toMatch(/^email-sending is paused by ada/m);
  expect(list).toMatch(/^tenant acme is paused by ada/m);
  expect(list).toMatch(/^image-processing runs 3 at once in each worker \(set by hand\)$/m);
  await printed(api, (server) => resumeQueue(undefined, { ...server, all: true }));
  await printed(api, (server) => resumeQueue(undefined, { ...server, tenant: 'acme' }));
  await printed(api, (server) => tuneWorkers('image-processing', 'default', server));
  expect(await printed(api, listQueues)).not.toMatch(/paused|by hand/);
});

test('a pause has one target, and a length of time a unit', async () => {
  await expect(pauseQueue('email-sending', { reason: 'x', all: true })).rejects.toThrow(/^Name one of: a queue/);
  await expect(resumeQueue(undefined, {})).rejects.toThrow(/^Name one of: a queue/);
  expect(['90s', '10m', '2h', '7d'].map(milliseconds)).toEqual([90_000, 600_000, 7_200_000, 604_800_000]);
  for (const text of ['', '10', '0s', '1.5h', '10w', 's'])
    expect(() => milliseconds(text)).toThrow(/expected a number and s, m, h or d/);
  await expect(tuneWorkers('email-sending', 'many', {})).rejects.toThrow(/number from 1 to 1000, or "default"/);
});

test('no worker is said as a sentence', async () => {
  expect(await printed(api, listWorkers)).toBe('No workers. Start one with `jobfleet worker`.\n');
});
