/** The video handler in the real killable child, with ffmpeg and with programs in its place that do not behave. */
import { once } from 'node:events';
import { readdirSync, readFileSync, watch } from 'node:fs';
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clip, fastH264, resultOf, shapesOf, tone, transcode } from '../../tests/support/clips.ts';
import { openPool, type Pool } from '../../workers/isolate/pool.ts';
import type { Running } from '../../workers/running.ts';
import { type JobRun, runJob } from '../../workers/testing.ts';
import type { Handler } from '../define.ts';
import { ffmpegMissing } from './ffmpeg.ts';
import handler from './handler.ts';

const missing = await ffmpegMissing();
const log = { warn: () => undefined, error: () => undefined };
let folder = '';
let bytes: Buffer = Buffer.alloc(0);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobfleet-isolated-'));
  // Children run under ids of their own where the worker is root.
  await chmod(folder, 0o755);
  if (missing === undefined)
    bytes = await clip(folder, 'one.mp4', ['testsrc2=size=640x360:rate=10:duration=1', tone], fastH264);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A folder for the head of PATH, in which `ffmpeg` is this script. */
async function instead(name: string, body: string): Promise<string> {
  const place = await mkdtemp(join(folder, `${name}-`));
  await chmod(place, 0o755);
  await writeFile(join(place, 'ffmpeg'), `#!/bin/sh\n${body}\n`);
  await chmod(join(place, 'ffmpeg'), 0o755);
  return place;
}

function commandsWith(text: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')];
      } catch {
        return []; // ended between the two calls
      }
    })
    .filter((line) => line.includes(text));
}

interface Isolated extends AsyncDisposable {
  readonly pool: Pool;
  readonly variant: Handler;
  readonly base: string;
}

/** A pool whose children find `place` first on their PATH; `quietMs` as the policy would have it. */
async function isolate(place = '', quietMs = 60_000): Promise<Isolated> {
  const { job } = handler;
  const policy = { ...job.policy, child: { ...job.policy.child, quietMs } };
  const variant = { ...handler, job: { ...job, policy } };
  const base = await mkdtemp(join(folder, 'base-'));
  await chmod(base, 0o755);
  const pool = await openPool({
    types: [
      {
        name: job.name,
        handlerUrl: new URL('handler.ts', import.meta.url).href,
        policy,
        env: { FFMPEG_DRIVER: 'spawn' },
        spares: 0,
      },
    ],
    log,
    environment: { ...process.env, PATH: [place, process.env['PATH']].filter(Boolean).join(':') },
    base,
    // In bwrap the scripts of this test could not be seen.
    ...(place === '' ? {} : { atMost: 'namespaces' as const }),
  });
  return { pool, variant, base, [Symbol.asyncDispose]: () => pool.close() };
}

function runIn(isolated: Isolated, onStart?: (running: Pick<Running, 'abort'>) => void): Promise<JobRun> {
  const options = { pool: isolated.pool, inputs: { 'in.bin': bytes }, ...(onStart === undefined ? {} : { onStart }) };
  return runJob(isolated.variant, { video_url: 'object:t/-/in.bin', user_id: 'user_1' }, options);
}

describe.skipIf(missing !== undefined)('video-transcoding in a killable child', { timeout: 60_000 }, () => {
  it('gives what it gives in process, and leaves no folder', async () => {
    await using isolated = await isolate();
    await using inside = await runIn(isolated);
    await using here = await transcode(bytes);
    expect(shapesOf(inside)).toEqual(['360p 640x360']);
    expect(resultOf(inside)).toEqual(resultOf(here));
    expect(await readdir(isolated.base)).toEqual([]);
  });

  it('ends a program that complains without end, while another job runs on unaffected', async () => {
    const place = await instead('flood', "exec yes 'this is not the end' >&2");
    await using isolated = await isolate(place);
    const [flooded, innocent] = await Promise.all([runIn(isolated), transcode(bytes)]);
    expect(flooded.outcome).toEqual({ state: 'dead', code: 'BAD_SOURCE' });
    expect(shapesOf(innocent)).toEqual(['360p 640x360']);
    expect(commandsWith('this is not the end')).toEqual([]);
    expect(await readdir(isolated.base)).toEqual([]);
    await Promise.all([flooded.close(), innocent.close()]);
  });

  it('kills a program that ignores SIGTERM when nothing moves for the quiet time', async () => {
    const place = await instead('deaf', "trap '' TERM\nwhile :; do :; done");
    await using isolated = await isolate(place, 1_500);
    await using run = await runIn(isolated);
    expect(run.error).toMatchObject({ code: 'SANDBOX_TIMEOUT' });
    expect(commandsWith(join(place, 'ffmpeg'))).toEqual([]);
    expect(await readdir(isolated.base)).toEqual([]);
  });

  it('kills it within the grace when the job is cancelled', async () => {
    const started = join(folder, 'started');
    await writeFile(started, '');
    await chmod(started, 0o666); // the child has a user id of its own
    const place = await instead('stubborn', `trap '' TERM\necho started > ${started}\nwhile :; do :; done`);
    await using isolated = await isolate(place);
    const watcher = watch(started);
    const cancel = async (running: Pick<Running, 'abort'>): Promise<void> => {
      await once(watcher, 'change');
      expect(commandsWith(join(place, 'ffmpeg'))).toHaveLength(1);
      running.abort('CANCELLED', 20_000);
    };
    let cancelled: Promise<void> | undefined;
    await using run = await runIn(isolated, (running) => {
      cancelled = cancel(running);
    });
    await cancelled;
    watcher.close();
    expect(run.outcome).toMatchObject({ state: 'cancelled' });
    expect(commandsWith(join(place, 'ffmpeg'))).toEqual([]);
    expect(await readdir(isolated.base)).toEqual([]);
  });
});
