import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pathOf, resultOf, transcode } from '../../tests/support/clips.ts';
import { decode, download, keyFrameTimes, parseMaster, segmentSeconds, type Variant } from '../../tests/support/hls.ts';
import type { JobRun } from '../../workers/testing.ts';
import { readMediaPlaylist } from './playlist.ts';

interface Entry {
  readonly file: string;
  readonly facts: {
    readonly decodable: boolean;
    readonly duration_s: number | null;
    readonly audio?: object;
    readonly video?: {
      readonly size: string;
      readonly displays?: string;
      readonly sample_aspect?: string;
      readonly packets: number;
    };
  };
}

const data = process.env['TEST_DATA'] ?? '../shared/data';
const manifest = join(data, 'manifest.json');
const entries = existsSync(manifest)
  ? (JSON.parse(readFileSync(manifest, 'utf8')) as { entries: Entry[] }).entries.filter(({ file }) =>
      file.startsWith('video/'),
    )
  : [];

/** What the row of the manifest asks for, said independently of the ladder's own code: sizes of ordinary shapes are whole. */
function expectedOf({ facts }: Entry): string {
  if (!facts.decodable) return 'dead BAD_SOURCE';
  const { video } = facts;
  if (video === undefined) return 'audio 0x0';
  const [width = 0, height = 0] = (video.displays ?? video.size).split('x').map(Number);
  const [across = 1, down = 1] = (video.sample_aspect ?? '1:1').split(':').map(Number);
  const display = [(width * across) / down, height] as const;
  const shorter = Math.min(...display);
  const sides = [360, 720, 1_080].filter((side) => side <= shorter);
  return (sides.length > 0 ? sides : [Math.max(2, shorter)])
    .map((side) => `${side}p ${display.map((length) => Math.max(2, (length * side) / shorter)).join('x')}`)
    .join(', ');
}

function gotOf(run: JobRun): string {
  if (run.outcome.state !== 'done') return `${run.outcome.state} ${'code' in run.outcome ? run.outcome.code : ''}`;
  return resultOf(run)
    .renditions.map((one) => `${one.name} ${one.width}x${one.height}`)
    .join(', ');
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
async function playPicture(master: string, { uri, attributes }: Variant, { facts }: Entry): Promise<number[]> {
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
async function play(run: JobRun, entry: Entry): Promise<void> {
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
  expect(keys.toSorted()).toEqual((await namedBy(root, result, media)).toSorted());
}

/** Every key that the result, its playlists and their folders name, with the input: nothing else may be stored. */
async function namedBy(root: string, result: ReturnType<typeof resultOf>, media: readonly string[]): Promise<string[]> {
  const below = (object: string): string => object.replace('object:t/-/', '');
  const base = dirname(below(result.playlist));
  const playlists = new Set([
    ...result.renditions.map(({ key }) => below(key)),
    ...media.map((uri) => join(base, uri)),
  ]);
  const named = ['in.bin', below(result.playlist), ...(result.poster === undefined ? [] : [below(result.poster)])];
  for (const playlist of playlists) {
    const { init, segments } = readMediaPlaylist(await readFile(join(root, playlist), 'utf8'));
    const files = [basename(playlist), 'rendition.json', init, ...segments.map(({ file }) => file)];
    named.push(...files.map((file) => join(dirname(playlist), file)));
  }
  return named;
}

describe.skipIf(entries.length === 0)('every file of the video corpus', () => {
  it('is all there', () => {
    expect(entries).toHaveLength(28);
  });

  it.each(entries.map((entry) => [entry.file, entry] as const))('%s ends as its row says', async (file, entry) => {
    const before = (await readdir(tmpdir())).filter((name) => name.startsWith('jobfleet-test-'));
    const run = await transcode(await readFile(join(data, file)));
    const [expected, got] = [expectedOf(entry), gotOf(run)];
    rows.push(`${file.slice(6)} | ${expected} | ${got}`);
    expect(got).toBe(expected);
    if (run.outcome.state === 'done') await play(run, entry);
    await run.close();
    const left = (await readdir(tmpdir())).filter((name) => name.startsWith('jobfleet-test-'));
    expect(left.filter((name) => !before.includes(name))).toEqual([]);
  });

  it('the odd name of a file is never an argument', async () => {
    const bytes = await readFile(join(data, 'video/rotated_video.mp4'));
    const inputs = { '-y': bytes };
    await using run = await transcode(
      new Uint8Array([0]),
      { inputs },
      { video_url: 'object:t/-/-y', resolutions: ['360p'] },
    );
    expect(gotOf(run)).toBe('360p 360x480');
  });
});
