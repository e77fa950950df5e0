import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, it, vi } from 'vitest';
import { eventId, openEventStream } from './event-stream.ts';
import type { JobStatus } from './job-status.ts';

const status = (more: Partial<JobStatus> = {}): JobStatus => ({
  id: 'x_1',
  type: 'x',
  queue: 'x',
  tenant: '-',
  status: 'active',
  attempt: 1,
  maxAttempts: 4,
  interruptions: 0,
  progress: 0,
  progressNote: null,
  result: null,
  error: null,
  createdAt: '2026-01-01T00:00:00.000Z',
  startedAt: null,
  finishedAt: null,
  parent: null,
  children: 0,
  ...more,
});
const describe = ({ status: state, progress }: JobStatus) => ({ state, progress });

it('names events by what has changed, tells nothing twice and ends with the outcome', async () => {
  const closed = vi.fn<() => void>();
  const { body, tell } = openEventStream({ describe, lastEventId: undefined }, closed);
  const all = text(body);
  for (const one of [
    status(),
    status(),
    status({ progress: 5 }),
    status({ attempt: 2 }),
    status({ status: 'completed' }),
  ]) {
    tell(one);
    await new Promise(setImmediate);
  }
  tell(status({ progress: 99 }));
  const events = (await all).split('\n\n');
  expect(events[0]).toBe('retry: 2000');
  expect(events.slice(1, -1).map((event) => event.replaceAll(/\nid: \S{22}/g, ''))).toEqual([
    'event: state\ndata: {"state":"active","progress":0}',
    'event: progress\ndata: {"state":"active","progress":5}',
    'event: state\ndata: {"state":"active","progress":0}',
    'event: outcome\ndata: {"state":"completed","progress":0}',
  ]);
  expect(closed).toHaveBeenCalledOnce();
});

it('goes on where the reader left: what was seen last is not told again, what came since is', async () => {
  const seen = status({ progress: 7 });
  const { body, tell } = openEventStream({ describe, lastEventId: eventId(seen) }, () => undefined);
  const all = text(body);
  tell(seen);
  await new Promise(setImmediate);
  tell(undefined);
  expect(await all).toBe('retry: 2000\n\nevent: gone\ndata: {}\n\n');
});

it('holds one state for a reader that takes nothing, however many there were, and the outcome in the end', async () => {
  const { body, tell } = openEventStream({ describe: (one) => one, lastEventId: undefined }, () => undefined);
  const note = 'n'.repeat(200);
  let largest = 0;
  for (let progress = 0; progress < 50_000; progress += 1) {
    tell(status({ progress, progressNote: note }));
    if (progress % 1_000 === 0) await new Promise(setImmediate);
    largest = Math.max(largest, body.readableLength);
  }
  expect(largest).toBeLessThan(20_000);
  tell(status({ status: 'failed' }));
  const all = await text(body);
  expect(all).toContain('event: outcome');
  expect(all.length).toBeLessThan(20_000);
});

it('says now and then that it is there, and ends after its time', async () => {
  const { body } = openEventStream(
    { describe, lastEventId: undefined, commentEveryMs: 5, longestMs: 200 },
    () => undefined,
  );
  expect((await text(body)).split(': still here').length).toBeGreaterThan(3);
});

it('costs nothing once the reader has gone', async () => {
  const closed = vi.fn<() => void>();
  const { body, tell } = openEventStream({ describe, lastEventId: undefined }, closed);
  body.destroy();
  await once(body, 'close');
  tell(status());
  expect(closed).toHaveBeenCalledOnce();
});
