import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openTestApi, type TestApi } from '../tests/support/api.ts';
import { listQueues, milliseconds, pauseQueue, resumeQueue } from './queues.ts';
import { listWorkers, tuneWorkers } from './workers.ts';

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

/** What a command prints on standard output. */
async function printed(run: (server: { url: string; key: string }) => Promise<void>): Promise<string> {
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  try {
    await run({ url: api.url, key: api.key });
    return write.mock.calls.map(([text]) => String(text)).join('');
  } finally {
    write.mockRestore();
  }
}

test('a pause says who, why and until when, in the list too, and ends', async () => {
  const wish = { reason: 'provider down', by: 'ada', for: '30m' };
  expect(await printed((server) => pauseQueue('email-sending', { ...server, ...wish }))).toMatch(
    /^email-sending is paused by ada for \d s, until \d{4}-\S+Z: provider down\. What runs goes on to its end\.\n$/,
  );
  await printed((server) => pauseQueue(undefined, { ...server, ...wish, tenant: 'acme' }));
  await printed((server) => tuneWorkers('image-processing', '3', server));
  const list = await printed(listQueues);
  expect(list).toMatch(/^email-sending is paused by ada/m);
  expect(list).toMatch(/^tenant acme is paused by ada/m);
  expect(list).toMatch(/^image-processing runs 3 at once in each worker \(set by hand\)$/m);
  await printed((server) => resumeQueue(undefined, { ...server, all: true }));
  await printed((server) => resumeQueue(undefined, { ...server, tenant: 'acme' }));
  await printed((server) => tuneWorkers('image-processing', 'default', server));
  expect(await printed(listQueues)).not.toMatch(/paused|by hand/);
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
  expect(await printed(listWorkers)).toBe('No workers. Start one with `jobfleet worker`.\n');
});
