/** Plays what a transcode has left behind, as a player would: every size and sound of the result, to the last frame. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import type { Result } from '../../jobs/define.ts';
import type videoTranscoding from '../../jobs/video-transcoding/job.ts';
import { pathOf } from './clips.ts';
import { decode, keyFrameTimes, measuredRates, parseMaster, type Rates, segmentSeconds, type Variant } from './hls.ts';
import type { VideoEntry } from './video-corpus.ts';

/** `root` holds a copy of the objects below `t/-/`. Fails where something does not play or is not what the master says. */
export async function play(
  root: string,
  result: Result<typeof videoTranscoding>,
  { facts }: VideoEntry,
): Promise<void> {
  const master = pathOf(root, result.playlist);
  const { variants, media } = parseMaster(await readFile(master, 'utf8'));
  expect(variants.map(({ uri }) => join(dirname(master), uri))).toEqual(
    result.renditions.map(({ key }) => pathOf(root, key)),
  );
  expect(media).toHaveLength(facts.video !== undefined && facts.audio !== undefined ? 1 : 0);
  const keyFrames: number[][] = [];
  for (const variant of variants) {
    await expectStatedRates(master, variant, media);
    if (result.kind === 'audio') await playSound(master, variant);
    else keyFrames.push(await playPicture(master, variant, facts));
  }
  for (const times of keyFrames) expect(times).toEqual(keyFrames[0]);
  for (const [at, time] of (keyFrames[0] ?? []).entries()) expect(Math.abs(time - at * 2)).toBeLessThan(0.5);
  for (const uri of media) expect((await decode(join(dirname(master), uri), 'a')).codec).toBe('aac');
  await decode(master, result.kind === 'audio' ? 'a' : 'v');
  const poster = result.poster === undefined ? 'none' : (await decode(pathOf(root, result.poster), 'v')).codec;
  expect(poster).toBe(result.kind === 'video' ? 'mjpeg' : 'none');
  expect(Math.abs(result.durationSeconds - (facts.duration_s ?? result.durationSeconds))).toBeLessThan(0.1);
}

/** What the master says of a variant is within a tenth of what its files, and those of its sound, come to. */
async function expectStatedRates(
  master: string,
  { uri, attributes }: Variant,
  sounds: readonly string[],
): Promise<void> {
  const rates = await Promise.all([uri, ...sounds].map((one) => measuredRates(join(dirname(master), one))));
  const sum = (of: keyof Rates): number => rates.reduce((total, one) => total + one[of], 0);
  expect(Math.abs(Number(attributes.get('AVERAGE-BANDWIDTH')) / sum('averageBps') - 1)).toBeLessThan(0.1);
  expect(Math.abs(Number(attributes.get('BANDWIDTH')) / sum('peakBps') - 1)).toBeLessThan(0.1);
}

/** Sound alone: one variant without a picture. */
async function playSound(master: string, { uri, attributes }: Variant): Promise<void> {
  expect([...attributes.keys()]).toEqual(['BANDWIDTH', 'AVERAGE-BANDWIDTH', 'CODECS']);
  expect(attributes.get('CODECS')).toBe('mp4a.40.2');
  expect((await decode(join(dirname(master), uri), 'a')).codec).toBe('aac');
}

/** Decodes one size and compares it with what the master says of it; answers its key-frame times. */
async function playPicture(
  master: string,
  { uri, attributes }: Variant,
  facts: VideoEntry['facts'],
): Promise<number[]> {
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
