/** A worker process whose claim loops stop asking, are rebuilt and stop asking again: it exits, and loses nothing. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openStage, type Stage } from './support/fleet.ts';
import acting from './support/fleet-jobs/acting/job.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage('embedded');
});
afterEach(() => stage.close());

it('exits with 70, so that it is started anew, and the next one runs the jobs', async () => {
  const { client } = await stage.open();
  const worker = await stage.start({ DEAF: 'on', SHUTDOWN_MS: '2000' });
  const { id } = await client.enqueue(acting, { act: 'effect' });
  const { code, signal } = await worker.exited;
  expect({ code, signal }).toEqual({ code: 70, signal: null });
  expect(worker.output()).toContain('claim loop rebuilt');
  expect(worker.output()).toContain('a rebuilt claim loop stopped asking again');
  expect(await client.status(id)).toMatchObject({ status: 'waiting' });
  await stage.start();
  expect(await stage.reaches(id, 'completed')).toMatchObject({ attempt: 1, interruptions: 0 });
  expect(await stage.count('effect', id)).toBe(1);
}, 60_000);
