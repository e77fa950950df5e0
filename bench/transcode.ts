/**
 * M1: all renditions of a clip in our one ffmpeg run, against one run for each of them in a row, and against the three
 * commands that fluent-ffmpeg's documentation shows. Same sizes, encoder, rates and preset. Seconds: less is better.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fluent from 'fluent-ffmpeg';
import { type Encoding, transcodeCommand } from '../jobs/video-transcoding/command.ts';
import { runFfmpeg } from '../jobs/video-transcoding/ffmpeg.ts';
import { ladder, type Rung } from '../jobs/video-transcoding/ladder.ts';
import { probe } from '../jobs/video-transcoding/probe.ts';
import { atMost, type BenchOptions, type Goal, goal, type Round } from './goal.ts';
import { grainyClip, loopedClip, type Meter, openMeter, type Used } from './media.ts';

const signal = new AbortController().signal;
const limitSeconds = 3_600;

async function encodingOf(path: string, folder: string): Promise<Encoding> {
  const source = await probe(path, 1, signal);
  const display = source.video?.display ?? { width: 0, height: 0 };
  return {
    source,
    rungs: ladder(display, ['360p', '720p', '1080p'], source.video?.rate),
    audioKbps: 128,
    segmentSeconds: 6,
    folder,
    threads: 3,
    limitSeconds,
    canToneMap: false,
  };
}

/** The handler's own command, with all renditions or one. */
async function ours(encoding: Encoding, rungs: readonly Rung[], meter: Meter): Promise<void> {
  for (const name of [...rungs.map((rung) => rung.name), 'audio'])
    await mkdir(join(encoding.folder, name), { recursive: true });
  const command = transcodeCommand({ ...encoding, rungs });
  await runFfmpeg(command, { driver: 'spawn', signal, limitSeconds, program: meter.program });
}

/** One MP4 by fluent-ffmpeg, as its documentation has it. */
async function fluentOne(encoding: Encoding, rung: Rung, meter: Meter): Promise<void> {
  const run = fluent(encoding.source.path)
    .videoCodec('libx264')
    .audioCodec('aac')
    .audioBitrate('128k')
    .size(`${rung.width}x${rung.height}`)
    .outputOptions('-preset', 'veryfast', '-crf', '21', '-pix_fmt', 'yuv420p')
    .outputOptions('-maxrate', `${rung.maxrateKbps}k`, '-bufsize', `${rung.bufsizeKbps}k`, '-profile:v', rung.profile);
  run.setFfmpegPath(meter.program);
  await new Promise<void>((resolve, reject) => {
    run.once('end', () => resolve());
    run.once('error', reject);
    run.save(join(encoding.folder, `${rung.name}.mp4`));
  });
}

async function inTurn(rungs: readonly Rung[], work: (rung: Rung) => Promise<void>): Promise<void> {
  for (const rung of rungs) await work(rung);
}

const round = (mine: Used, other: Used): Round => ({
  ours: mine.wallSeconds,
  theirs: other.wallSeconds,
  oursCpu: mine.cpuSeconds,
  theirsCpu: other.cpuSeconds,
});

/** Goal: CPU at most 0.80 and wall at most 0.80 (1.25 times as fast) of three runs. Needs the video corpus and /usr/bin/time. */
export async function run({ quick }: BenchOptions): Promise<Goal[]> {
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-bench-'));
  const goals: Goal[] = [];
  try {
    const meter = await openMeter(folder);
    const clips = {
      'grainy 1080p30': await grainyClip(folder, quick ? 5 : 31),
      '1080p at 9/s': await loopedClip(folder, 'video_with_rectangular_samples.mp4', quick ? 1 : 6),
      'VP9 720p': await loopedClip(folder, 'no_duration.webm', quick ? 1 : 6),
    };
    for (const [name, path] of Object.entries(clips)) {
      const encoding = await encodingOf(path, folder);
      const { rungs } = encoding;
      const against = { runs: [] as Round[], fluent: [] as Round[] };
      let maxRssMb = 0;
      for (let at = 0; at < (quick ? 3 : 5); at += 1) {
        const mine = await meter.of(() => ours(encoding, rungs, meter));
        const runs = await meter.of(() => inTurn(rungs, (rung) => ours(encoding, [rung], meter)));
        const commands = await meter.of(() => inTurn(rungs, (rung) => fluentOne(encoding, rung, meter)));
        against.runs.push(round(mine, runs));
        against.fluent.push(round(mine, commands));
        maxRssMb = Math.max(maxRssMb, mine.maxRssMb);
      }
      const what = `${name}, ${rungs.length} renditions, seconds (one run: ${Math.round(maxRssMb)} MB)`;
      // The goal is about the whole ladder; two renditions share less.
      const targets = rungs.length < 3 ? [] : [atMost(0.8, 0.88, 'cpu'), atMost(0.8)];
      goals.push(goal({ goal: 'M1', name: `${what}, against a run for each`, backend: '-' }, against.runs, ...targets));
      goals.push(goal({ goal: 'M1', name: `${what}, against fluent-ffmpeg's commands`, backend: '-' }, against.fluent));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return goals;
}
