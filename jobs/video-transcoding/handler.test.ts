import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clip, fastH264, pathOf, resultOf, shapesOf, tone, transcode } from '../../tests/support/clips.ts';
import { decode, download, parseMaster } from '../../tests/support/hls.ts';
import { runJob } from '../../workers/testing.ts';
import { ffmpegMissing } from './ffmpeg.ts';
import handler from './handler.ts';
import { ffprobe, inputLimits } from './probe.ts';

const missing = await ffmpegMissing();
const signal = new AbortController().signal;
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jobfleet-video-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.skipIf(missing !== undefined)('video-transcoding on generated clips', () => {
  it('never takes the odd name of a file for an argument', async () => {
    const bytes = await clip(folder, 'odd.mp4', ['testsrc2=size=640x360:rate=5:duration=1'], fastH264);
    await using run = await transcode(
      new Uint8Array([0]),
      { inputs: { '-y': bytes } },
      { video_url: 'object:t/-/-y', resolutions: ['360p'] },
    );
    expect(shapesOf(run)).toEqual(['360p 640x360']);
  });

  it('makes a ladder, one sound, a poster and a master', async () => {
    const bytes = await clip(
      folder,
      'one.mp4',
      ['testsrc2=size=960x720:rate=5:duration=1', tone],
      `${fastH264} -c:a aac`,
    );
    await using run = await transcode(bytes);
    const result = resultOf(run);
    expect(shapesOf(run)).toEqual(['360p 480x360', '720p 960x720']);
    expect(result).toMatchObject({ kind: 'video', poster: expect.stringMatching(/^object:t\/-\/video\/.*\.jpg$/) });
    expect(result.durationSeconds).toBeCloseTo(1, 1);
    const percents = run.progress.map((one) => (typeof one === 'number' ? one : one.percent));
    expect(percents).toEqual(percents.toSorted((a, b) => a - b));
    expect(percents.at(-1)).toBe(100);

    const root = join(folder, 'tree');
    await download(run.objects, 't/-/', root);
    const master = pathOf(root, result.playlist);
    const { variants, media } = parseMaster(await readFile(master, 'utf8'));
    expect(variants.map((one) => one.attributes.get('RESOLUTION'))).toEqual(['480x360', '960x720']);
    expect(variants.map((one) => one.attributes.get('CODECS'))).toEqual([
      'avc1.4d401e,mp4a.40.2',
      'avc1.4d401f,mp4a.40.2',
    ]);
    for (const { uri } of variants)
      expect(await decode(join(master, '..', uri), 'v')).toMatchObject({ codec: 'h264', frames: 5 });
    expect(await decode(join(master, '..', media[0] ?? ''), 'a')).toMatchObject({ codec: 'aac' });
    expect(await decode(pathOf(root, result.poster ?? ''), 'v')).toMatchObject({
      codec: 'mjpeg',
      width: 960,
      height: 720,
    });
  });
});

describe.skipIf(missing !== undefined)('disguised playlists', () => {
  it('are refused, and nothing they name is read', async () => {
    let hits = 0;
    const server = createServer((_, response) => {
      hits += 1;
      response.end('canary');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/canary.ts`;
    const secret = join(folder, 'canary.mp4');
    await writeFile(secret, await clip(folder, 'secret.mp4', ['color=red:size=64x64:duration=0.2'], fastH264));
    const hls = (target: string): string => `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n${target}\n#EXT-X-ENDLIST\n`;
    const disguises = [
      hls(url),
      hls(`file:${secret}`),
      hls(`concat:${secret}|${url}`),
      `\uFEFF${hls(url)}`,
      `ffconcat version 1.0\nfile '${url}'\n`,
      `ffconcat version 1.0\nfile '${secret}'\n`,
      `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><BaseURL>${url}</BaseURL></Period></MPD>`,
      `v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=control:${url}\n`,
      `concat:${secret}|${url}`,
      `subfile,,start,0,end,100,,:${secret}`,
      `data:application/x-mpegURL;base64,${Buffer.from(hls(url)).toString('base64')}`,
      `[playlist]\nFile1=${url}\n`,
      url,
    ];
    const accepted: string[] = [];
    for (const text of disguises) {
      await using run = await transcode(Buffer.from(text));
      const code = 'code' in run.outcome ? run.outcome.code : run.outcome.state;
      if (code !== 'FORBIDDEN_TARGET' && code !== 'BAD_SOURCE') accepted.push(`${code}: ${text}`);
      // The whitelists hold alone, too: without the look at the first bytes.
      const path = join(folder, 'disguise.mp4');
      await writeFile(path, text);
      await expect(ffprobe(path, { before: inputLimits, extra: ['-show_streams'], signal })).rejects.toThrow(/ffprobe/);
    }
    await new Promise((resolve) => server.close(resolve));
    expect(accepted).toEqual([]);
    expect(hits).toBe(0);
  });

  it('are refused as addresses when the payload is read', async () => {
    for (const video_url of [
      'concat:/etc/passwd',
      'file:///etc/passwd',
      '/etc/passwd',
      'data:,x',
      'http://x.org/a.mp4',
    ]) {
      await using run = await runJob(handler, { video_url, user_id: 'user_1' });
      expect(run.outcome).toEqual({ state: 'dead', code: 'PAYLOAD_INVALID' });
    }
  });
});

describe('payload', () => {
  it('still parses in every shape ever released, and fills what is left out', async () => {
    const released: unknown = JSON.parse(await readFile(new URL('payloads/1.json', import.meta.url), 'utf8'));
    expect(handler.job.payload.parse(released)).toMatchObject({ user_id: 'user_123', segmentSeconds: 6 });
    expect(handler.job.payload.safeParse({ video_url: 'object:t/-/a', user_id: 'u', codec: 'x' }).success).toBe(false);
  });
});
