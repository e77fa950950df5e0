/** A source in a bucket that is not there, not ours to read, slow or cut off: what each attempt ends as, and what it leaves. */
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterEach, expect, it } from 'vitest';
import type { Handler } from '../../jobs/define.ts';
import type { ObjectStore } from '../../runtime/object-store.ts';
import { openS3Store } from '../../runtime/object-store-s3.ts';
import { openReceiver, type Respond } from '../../tests/support/receivers.ts';
import type { Running } from '../../workers/running.ts';
import { type JobRun, runJob } from '../../workers/testing.ts';
import handler from './handler.ts';

const payload = { video_url: 'object:t/-/in.mp4', user_id: 'user_1', resolutions: ['360p'] };
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

/** A bucket whose server answers as told. */
async function bucket(respond: Respond): Promise<{ readonly objects: ObjectStore; readonly asked: () => number }> {
  const server = await openReceiver(respond);
  closing.push(() => server.close());
  const objects = openS3Store({
    bucket: 'videos',
    prefix: '',
    client: {
      endpoint: server.url,
      region: 'eu-central-1',
      forcePathStyle: true,
      credentials: { accessKeyId: 'nobody', secretAccessKey: 'nothing' },
    },
  });
  closing.push(() => objects.close());
  return { objects, asked: () => server.received.length };
}

const refusing =
  (status: number, code: string): Respond =>
  (response) =>
    response
      .writeHead(status, { 'content-type': 'application/xml' })
      .end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code} it is</Message></Error>`);

/** Says that a megabyte comes, and sends a byte of it every 20 ms. */
const dripping: Respond = (response) => {
  response.writeHead(200, { 'content-type': 'video/mp4', 'content-length': '1000000' });
  const timer = setInterval(() => response.write('x'), 20);
  response.on('close', () => clearInterval(timer));
};

const within = (timeoutMs: number): Handler => ({
  ...handler,
  job: { ...handler.job, policy: { ...handler.job.policy, timeoutMs } },
});

async function run(
  objects: ObjectStore,
  own: Handler = handler,
  onStart?: (running: Pick<Running, 'abort'>) => void,
): Promise<JobRun> {
  const before = await readdir(tmpdir());
  const ended = await runJob(own, payload, { objects, ...(onStart === undefined ? {} : { onStart }) });
  await ended.close();
  const left = (await readdir(tmpdir())).filter((name) => !before.includes(name));
  expect(left).toEqual([]);
  return ended;
}

it('that is not there is a bad source at once', async () => {
  const { objects, asked } = await bucket(refusing(404, 'NoSuchKey'));
  const { outcome, error } = await run(objects);
  expect(outcome).toEqual({ state: 'dead', code: 'BAD_SOURCE' });
  expect(error?.message).toMatch(/There is no object:t\/-\/in\.mp4; upload it, then redrive/);
  expect(asked()).toBe(1);
});

it('that the store refuses is tried again, with what the store said', async () => {
  const { objects } = await bucket(refusing(403, 'AccessDenied'));
  const { outcome, error } = await run(objects);
  expect(outcome).toMatchObject({ state: 'retry', code: 'NETWORK' });
  expect(error?.message).toMatch(/object store.*AccessDenied/);
});

it('that comes too slowly ends with its time limit, or with a cancel before that', async () => {
  const { objects } = await bucket(dripping);
  const late = await run(objects, within(400));
  expect(late.outcome).toMatchObject({ state: 'retry', code: 'TIMED_OUT' });
  const cancelled = await run(objects, handler, (running) => running.abort('CANCELLED', 1_000));
  expect(cancelled.outcome).toEqual({ state: 'cancelled' });
});

it('that breaks off is tried again', async () => {
  const { objects } = await bucket((response) => {
    response.writeHead(200, { 'content-type': 'video/mp4', 'content-length': '1000000' });
    response.write('x'.repeat(1_000), () => response.destroy());
  });
  expect((await run(objects)).outcome).toMatchObject({ state: 'retry', code: 'NETWORK' });
});
