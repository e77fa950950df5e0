import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pathOf, resultOf, transcode } from '../../tests/support/clips.ts';
import { decode, download, keyFrameTimes, parseMaster, segmentSeconds, type Variant } from '../../tests/support/hls.ts';
import {
  expectedOf,
  namedBy,
  sizesOf,
  type VideoEntry,
  videoData,
  videoEntries,
} from '../../tests/support/video-corpus.ts';
import type { JobRun } from '../../workers/testing.ts';

function gotOf(run: JobRun): string {
  if (run.outcome.state !== 'done') return `${run.outcome.state} ${'code' in run.outcome ? run.outcome.code : ''}`;
  return sizesOf(resultOf(run));
}

const rows: string[] = [];
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobfleet-corpus-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
  process.stdout.write(`\n${['file | expected | got', ...rows.toSorted()].join('\n')}\n`);
});

/** Sound alone: one variant without a picture. */
async function playSound(master: string, { uri, attributes }: Variant): Promise<void> {
  expect([...attributes.keys()]).toEqual(['BANDWIDTH', 'AVERAGE-BANDWIDTH', 'CODECS']);
  expect(attributes.get('CODECS')).toBe('mp4a.40.2');
  expect((await decode(join(dirname(master), uri), 'a')).codec).toBe('aac');
}

/** Decodes one size and compares it with what the master says of it; answers its key-frame times. */
async function playPicture(master: string, { uri, attributes }: Variant, { facts }: VideoEntry): Promise<number[]> {
  const path = join(dirname(master), uri);
  const seconds = (await segmentSeconds(path)).reduce((sum, one) => sum + one, 0);
  const decoded = await decode(path, 'v');
  expect(decoded).toMatchObject({ codec: 'h264', pixelFormat: 'yuv420p' });
  expect(attributes.get('RESOLUTION')).toBe(`${decoded.width}x${decoded.height}`);
  expect(attributes.get('CODECS')).toMatch(facts.audio === undefined ? /^avc1\.[0-9a-f]{6}$/ : /,mp4a\.40\.2$/);
  expect(Number(attributes.get('AVERAGE-BANDWIDTH'))).toBeLessThanOrEqual(Number(attributes.get('BANDWIDTH')));
  // Every frame of the source is there, but for rates above the cap; the stated rate is the measured one.
  expect(decoded.frames).toBeGreaterThanOrEqual(Math.min(facts.video?.packets ?? 0, Math.floor(29 * seconds)));
  const stated = Number(attributes.get('FRAME-RATE'));
  const off = decoded.frames > 20 ? Math.abs((stated * seconds) / decoded.frames - 1) : 0;
  expect(off).toBeLessThan(0.1);
  return keyFrameTimes(path);
}

/** Plays everything the result names. */
async function play(run: JobRun, entry: VideoEntry): Promise<void> {
  const result = resultOf(run);
  const { facts } = entry;
  const root = join(folder, entry.file);
  const keys = await download(run.objects, 't/-/', root);
  const master = pathOf(root, result.playlist);
  const { variants, media } = parseMaster(await readFile(master, 'utf8'));
  expect(variants.map(({ uri }) => join(dirname(master), uri))).toEqual(
    result.renditions.map(({ key }) => pathOf(root, key)),
  );
  expect(media).toHaveLength(facts.video !== undefined && facts.audio !== undefined ? 1 : 0);
  const keyFrames: number[][] = [];
  for (const variant of variants) {
    if (result.kind === 'audio') await playSound(master, variant);
    else keyFrames.push(await playPicture(master, variant, entry));
  }
  for (const times of keyFrames) expect(times).toEqual(keyFrames[0]);
  for (const [at, time] of (keyFrames[0] ?? []).entries()) expect(Math.abs(time - at * 2)).toBeLessThan(0.5);
  for (const uri of media) expect((await decode(join(dirname(master), uri), 'a')).codec).toBe('aac');
  await decode(master, result.kind === 'audio' ? 'a' : 'v');
  const poster = result.poster === undefined ? 'none' : (await decode(pathOf(root, result.poster), 'v')).codec;
  expect(poster).toBe(result.kind === 'video' ? 'mjpeg' : 'none');
  expect(Math.abs(result.durationSeconds - (facts.duration_s ?? result.durationSeconds))).toBeLessThan(0.1);
  expect(keys.toSorted()).toEqual(['in.bin', ...(await namedBy(root, result))].toSorted());
}

describe.skipIf(videoEntries.length === 0)('every file of the video corpus', () => {
  it('is all there', () => {
    expect(videoEntries).toHaveLength(28);
  });

  it.each(videoEntries.map((entry) => [entry.file, entry] as const))('%s ends as its row says', async (file, entry) => {
    const before = (await readdir(tmpdir())).filter((name) => name.startsWith('jobfleet-test-'));
    const run = await transcode(await readFile(join(videoData, file)));
    const [expected, got] = [expectedOf(entry), gotOf(run)];
    rows.push(`${file.slice(6)} | ${expected} | ${got}`);
    expect(got).toBe(expected);
    if (run.outcome.state === 'done') await play(run, entry);
    await run.close();
    const left = (await readdir(tmpdir())).filter((name) => name.startsWith('jobfleet-test-'));
    expect(left.filter((name) => !before.includes(name))).toEqual([]);
  });

  it('the odd name of a file is never an argument', async () => {
    const bytes = await readFile(join(videoData, 'video/rotated_video.mp4'));
    const inputs = { '-y': bytes };
    await using run = await transcode(
      new Uint8Array([0]),
      { inputs },
      { video_url: 'object:t/-/-y', resolutions: ['360p'] },
    );
    expect(gotOf(run)).toBe('360p 360x480');
  });
});
