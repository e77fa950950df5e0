/** Videos that nobody should send: each ends as it must, in time, with nothing left behind. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ffmpegMissing } from '../../jobs/video-transcoding/ffmpeg.ts';
import job from '../../jobs/video-transcoding/job.ts';
import type { JobRun } from '../../workers/testing.ts';
import { type ChildRuns, openChildRuns } from '../support/child-runs.ts';
import { clip } from '../support/clips.ts';
import { crowding } from '../support/crowding.ts';
import { boundCorpus, corpora } from './bounds.ts';
import { type Make, videoCases } from './videos.ts';

boundCorpus('video-transcoding');

const limitMs = 10_000;
const missing = await ffmpegMissing();
const kept = new Map<string, Promise<Buffer>>();
let folder = '';
let children: ChildRuns;
beforeAll(async () => {
  children = await openChildRuns('video-transcoding');
  folder = await mkdtemp(join(tmpdir(), 'jobfleet-corpus-'));
});
afterAll(async () => {
  await children.close();
  await rm(folder, { recursive: true, force: true });
});

const make: Make = (name, sources, options) => {
  const found = kept.get(name) ?? clip(folder, name, sources, options);
  kept.set(name, found);
  return found;
};
const scratch = async () => (await readdir(tmpdir())).filter((name) => name.startsWith('jobfleet-test-'));

async function keysOf(run: JobRun): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of run.objects.list('')) keys.push(key);
  return keys.filter((key) => key !== 't/-/in.bin');
}

test('there are enough of them, each with a name of its own', () => {
  expect(videoCases.length).toBeGreaterThanOrEqual(corpora['video-transcoding'].cases);
  expect(new Set(videoCases.map(({ name }) => name)).size).toBe(videoCases.length);
});

describe.skipIf(missing !== undefined)('a video', () => {
  test.each(videoCases)('$name', async ({ bytes, ends, payload, shape }) => {
    const source = await bytes(make);
    const startedAt = performance.now();
    const asked = { video_url: 'object:t/-/in.bin', user_id: 'user_1', resolutions: ['360p'], ...payload };
    await using run = await children.run(asked, { inputs: { 'in.bin': source } });
    expect(performance.now() - startedAt).toBeLessThan(limitMs * crowding());
    const got = 'code' in run.outcome ? run.outcome.code : run.outcome.state;
    expect(ends, run.error?.message).toContain(got);
    const result = got === 'done' ? job.result.parse(run.result) : undefined;
    const largest = result?.renditions.at(-1);
    const made = result === undefined ? undefined : `${result.kind} ${largest?.width}x${largest?.height}`;
    expect(made).toBe(shape ?? made);
    // What ends well says where its playlist is; what ends badly has none.
    const keys = await keysOf(run);
    expect(keys.includes(result?.playlist.slice('object:'.length) ?? '')).toBe(got === 'done');
    expect(keys.length === 0 || got === 'done').toBe(true);
    await run.close();
    expect(await scratch()).toEqual([]);
  });
});
