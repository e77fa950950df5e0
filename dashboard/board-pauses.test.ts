/** Pauses on the board have an owner, and pauses made elsewhere are shown on it. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { createPauses } from '../backends/pauses.ts';
import { openTestDashboard, type Person, passwords, type TestDashboard } from '../tests/support/dashboard.ts';

let board: TestDashboard;
beforeAll(async () => {
  board = await openTestDashboard();
});
afterAll(() => board.close());

const queue = 'email-sending';

function put(person: Person, path: string): Promise<Response> {
  const authorization = `Basic ${Buffer.from(`${person}:${passwords[person]}`).toString('base64')}`;
  return fetch(`${board.url}/board/api/queues${path}`, { method: 'PUT', headers: { authorization } });
}

async function description(): Promise<string | undefined> {
  const authorization = `Basic ${Buffer.from(`vera:${passwords.vera}`).toString('base64')}`;
  const answer = await fetch(`${board.url}/board/api/queues`, { headers: { authorization } });
  const { queues } = z
    .object({ queues: z.array(z.looseObject({ name: z.string(), description: z.string().optional() })) })
    .parse(await answer.json());
  return queues.find(({ name }) => name === queue)?.description;
}

test('a pause on the board is owned by who made it, and one for all queues too', async () => {
  const pauses = createPauses(board.backend);
  expect((await put('vera', `/${queue}/pause`)).status).toBe(403);
  expect(await pauses.queues([queue])).toEqual(new Map());
  expect((await put('otto', `/${queue}/pause`)).status).toBe(200);
  expect((await pauses.queues([queue])).get(queue)).toMatchObject({ by: 'otto', reason: 'on the board' });
  expect((await put('otto', `/${queue}/resume`)).status).toBe(200);
  expect(await pauses.queues([queue])).toEqual(new Map());
  expect(await board.backend.queue(queue).isPaused()).toBe(false);
  expect((await put('ada', '/pause')).status).toBe(200);
  const names = [...board.registry.jobs.keys()];
  expect([...(await pauses.queues(names)).values()].map(({ by }) => by)).toEqual(names.map(() => 'ada'));
  expect((await put('ada', '/resume')).status).toBe(200);
  expect(await pauses.queues(names)).toEqual(new Map());
});

test('a pause is read in the description of its queue', async () => {
  const pauses = createPauses(board.backend);
  await pauses.pauseQueue(queue, { by: 'grace', reason: 'provider down', forMs: 3_600_000 });
  await expect
    .poll(description, { timeout: 10_000, interval: 200 })
    .toMatch(/^Paused by grace until \d{4}-.*Z: provider down\. /);
  await pauses.resumeQueue(queue);
});
