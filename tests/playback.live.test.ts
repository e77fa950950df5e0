/** A transcode over HTTP from upload to playback: a player is given nothing but the signed link of the master playlist. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ffmpegMissing } from '../jobs/video-transcoding/ffmpeg.ts';
import { clip, fastH264 } from './support/clips.ts';
import { type FreshStore, freshEmbedded } from './support/fresh-stores.ts';
import { openWholeFleet, type WholeFleet } from './support/whole-fleet.ts';

const seconds = 3;
const missing = await ffmpegMissing();
const files = z.object({ files: z.array(z.object({ object: z.string(), url: z.url() })) });

describe.skipIf(missing !== undefined)('a transcode', () => {
  let folder: string;
  let store: FreshStore;
  let fleet: WholeFleet;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'jobfleet-playback-'));
    store = await freshEmbedded();
    fleet = await openWholeFleet({ store, queues: ['video-transcoding'] });
  });
  afterAll(async () => {
    await fleet.close();
    await store.drop();
    await rm(folder, { recursive: true, force: true });
  });

  it('plays through the signed link of its master, picture and sound, without a key', async () => {
    const sources = [`testsrc2=size=640x360:rate=25:duration=${seconds}`, `sine=frequency=440:duration=${seconds}`];
    const object = await fleet.upload('in.mp4', await clip(folder, 'in.mp4', sources, fastH264));
    const job = await fleet.run('video-transcoding', { video_url: object, user_id: 'u', resolutions: ['360p'] });
    expect(job).toMatchObject({ status: 'completed', error: null });
    const shown = files.parse((await fleet.get(`/v1/jobs/${job.id}`)).json);
    const master = shown.files.find((file) => file.object === job.result?.['playlist']);
    const { stdout, stderr } = await promisify(execFile)(
      'ffprobe',
      [
        ...'-v error -count_frames -print_format json -show_entries stream=codec_type,nb_read_frames'.split(' '),
        master?.url ?? '',
      ],
      { timeout: 60_000 },
    );
    expect(stderr).toBe('');
    const { streams } = z
      .object({ streams: z.array(z.object({ codec_type: z.string(), nb_read_frames: z.coerce.number() })) })
      .parse(JSON.parse(stdout));
    const frames = new Map(streams.map((one) => [one.codec_type, one.nb_read_frames]));
    expect(frames.get('video')).toBe(25 * seconds);
    expect(frames.get('audio')).toBeGreaterThan(44 * seconds);
  });
});
