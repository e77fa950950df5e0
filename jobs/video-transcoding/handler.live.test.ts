import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ObjectStore } from '../../runtime/object-store.ts';
import { openFolderStore } from '../../runtime/object-store-folder.ts';
import { clip, fastH264, pathOf, resultOf, shapesOf, tone, transcode } from '../../tests/support/clips.ts';
import { decode, download, keyFrameTimes } from '../../tests/support/hls.ts';
import { namedBy } from '../../tests/support/video-corpus.ts';
import type { Running } from '../../workers/running.ts';
import { ffmpegMissing } from './ffmpeg.ts';

const missing = await ffmpegMissing();
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobfleet-video-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.skipIf(missing !== undefined)('video-transcoding on generated clips', { timeout: 120_000 }, () => {
  it('gives the same result with the fluent driver', async () => {
    const bytes = await clip(folder, 'both.mp4', ['testsrc2=size=320x240:rate=10:duration=1', tone], fastH264);
    await using ours = await transcode(bytes);
    await using fluent = await transcode(bytes, { env: { FFMPEG_DRIVER: 'fluent' } });
    expect(resultOf(fluent)).toEqual(resultOf(ours));
  });

  it('encodes after a failure only what is missing, on the same time line, and nothing the third time', async () => {
    const bytes = await clip(
      folder,
      'two.mp4',
      ['testsrc2=size=720x720:rate=60:duration=2.1', tone],
      `${fastH264} -c:a aac`,
    );
    const store = await openFolderStore(join(folder, 'kept'));
    const broken: ObjectStore = {
      ...store,
      put: (key, body, options) =>
        key.includes('/720p-') ? Promise.reject(new Error('the store is down')) : store.put(key, body, options),
    };
    await using first = await transcode(bytes, { objects: broken });
    expect(first.outcome.state).toBe('retry');
    const before = new Map<string, number>();
    for await (const { key, modifiedAt } of store.list('t/-/video/')) before.set(key, modifiedAt.getTime());
    expect([...before.keys()].some((key) => key.includes('/360p-') && key.endsWith('rendition.json'))).toBe(true);
    expect([...before.keys()].some((key) => key.includes('master'))).toBe(false);

    await using second = await transcode(bytes, { objects: store, attempt: 2 });
    expect(shapesOf(second)).toEqual(['360p 360x360', '720p 720x720']);
    expect(second.logs).toEqual(['info to encode: 720p, audio']);
    for (const [key, modified] of before) expect((await store.head(key))?.modifiedAt.getTime()).toBe(modified);
    const root = join(folder, 'kept-tree');
    await download(store, 't/-/', root);
    const times = await Promise.all(resultOf(second).renditions.map(({ key }) => keyFrameTimes(pathOf(root, key))));
    expect(times).toEqual([
      [0, 2],
      [0, 2],
    ]);

    await using third = await transcode(bytes, { objects: store });
    expect(third.logs).toEqual(['info to encode: nothing, all is kept']);
    expect(third.result).toEqual(second.result);
    await using other = await transcode(bytes, { objects: store }, { resolutions: ['360p'] });
    expect(other.logs).toEqual(['info to encode: audio']);
    await store.close();
  });

  it('writes over what an attempt has stored that died in the middle of a rendition', async () => {
    const bytes = await clip(folder, 'dies.mp4', ['testsrc2=size=320x240:rate=10:duration=1', tone], fastH264);
    const store = await openFolderStore(join(folder, 'dies'));
    const dying: ObjectStore = {
      ...store,
      put: (key, body, options) =>
        key.includes('/audio-') && key.endsWith('.m3u8')
          ? Promise.reject(new Error('the worker is dead'))
          : store.put(key, body, options),
    };
    await using first = await transcode(bytes, { objects: dying });
    expect(first.outcome.state).toBe('retry');
    await using second = await transcode(bytes, { objects: store, attempt: 2 });
    expect(second.logs).toEqual(['info to encode: audio']);
    const root = join(folder, 'dies-tree');
    const keys = await download(store, 't/-/video/', root);
    const named = await namedBy(root, resultOf(second), 't/-/video/');
    expect(keys.toSorted()).toEqual(named.toSorted());
    await store.close();
  });

  it('gives sound alone one rendition and ignores cover art', async () => {
    const bytes = await clip(
      folder,
      'cover.mp3',
      [tone, 'color=red:size=64x64'],
      '-frames:v 1 -c:v mjpeg -disposition:v attached_pic',
    );
    await using run = await transcode(bytes);
    expect(shapesOf(run)).toEqual(['audio 0x0']);
    expect(resultOf(run).kind).toBe('audio');
    expect(resultOf(run)).not.toHaveProperty('poster');
  });

  it('maps a 10-bit HDR picture to 8 bits of the ordinary range', async () => {
    const hdr =
      '-c:v libx264 -preset ultrafast -pix_fmt yuv420p10le -color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc';
    await using run = await transcode(await clip(folder, 'hdr.mp4', ['testsrc2=size=640x360:rate=10:duration=1'], hdr));
    expect(shapesOf(run)).toEqual(['360p 640x360']);
    const root = join(folder, 'hdr-tree');
    await download(run.objects, 't/-/', root);
    const playlist = pathOf(root, resultOf(run).renditions[0]?.key ?? '');
    expect(await decode(playlist, 'v')).toMatchObject({ pixelFormat: 'yuv420p', transfer: 'bt709', frames: 10 });
  });

  it('refuses what is over a limit before any work', async () => {
    const cases = {
      pixels: await clip(folder, 'large.mkv', ['color=red:size=8000x6000:rate=1:duration=1'], '-c:v mjpeg'),
      seconds: await clip(folder, 'long.mkv', ['color=red:size=16x16:rate=1/15000'], '-frames:v 3 -c:v mjpeg'),
      streams: await clip(folder, 'wide.mkv', [tone], `${'-map 0:a '.repeat(33)}-c:a pcm_s16le -t 0.1`),
    };
    for (const [name, bytes] of Object.entries(cases)) {
      await using run = await transcode(bytes);
      expect({ name, ...run.outcome }).toEqual({ name, state: 'dead', code: 'LIMIT_EXCEEDED' });
    }
  });

  it('refuses a file that was cut off or emptied, though ffmpeg reads it without an error', async () => {
    const bytes = await clip(
      folder,
      'whole.mp4',
      ['testsrc2=size=320x180:rate=10:duration=10'],
      `${fastH264} -g 10 -movflags faststart`,
    );
    const zeroed = Buffer.from(bytes).fill(0, bytes.indexOf('mdat') + 4);
    for (const damaged of [bytes.subarray(0, bytes.length / 10), bytes.subarray(0, bytes.length / 2), zeroed]) {
      await using run = await transcode(damaged);
      expect(run.outcome).toEqual({ state: 'dead', code: 'BAD_SOURCE' });
      const kept = [];
      for await (const { key } of run.objects.list('t/-/video/')) kept.push(key);
      expect(kept).toEqual([]);
    }
  });

  it('stops when it is cancelled half way, and leaves no rendition that looks complete', async () => {
    const bytes = await clip(folder, 'stop.mp4', ['testsrc2=size=320x240:rate=30:duration=1'], fastH264);
    const store = await openFolderStore(join(folder, 'stopped'));
    let running: Pick<Running, 'abort'> | undefined;
    const cancelling: ObjectStore = {
      ...store,
      put: async (key, body, options) => {
        if (key.endsWith('.m4s')) running?.abort('CANCELLED', 1_000);
        return store.put(key, body, options);
      },
    };
    await using run = await transcode(bytes, {
      objects: cancelling,
      onStart: (one) => {
        running = one;
      },
    });
    expect(run.outcome).toMatchObject({ state: 'cancelled' });
    const kept = [];
    for await (const { key } of store.list('t/-/video/')) kept.push(key);
    expect(kept.filter((key) => /rendition\.json|master/.test(key))).toEqual([]);
    await store.close();
  });
});
