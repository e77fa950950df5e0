/**
 * M2: one frame from the middle of a 31 s 1080p clip by the handler's command, against `-ss` after the input; and five
 * frames spread over it from key frames alone, against fluent-ffmpeg's `screenshots`. Seconds: less is better.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fluent from 'fluent-ffmpeg';
import { type Command, runFfmpeg } from '../jobs/video-transcoding/ffmpeg.ts';
import { posterCommand } from '../jobs/video-transcoding/poster.ts';
import { inputLimits, probe, type Source } from '../jobs/video-transcoding/probe.ts';
import { atMost, type BenchOptions, type Goal, goal, type Round } from './goal.ts';
import { grainyClip, type Meter, openMeter, type Used } from './media.ts';

const signal = new AbortController().signal;
const jpeg = ['-c:v', 'mjpeg', '-q:v', '3', '-f', 'image2'];

const metered = (command: Command, meter: Meter): Promise<Used> =>
  meter.of(() => runFfmpeg(command, { driver: 'spawn', signal, limitSeconds: 600, program: meter.program }));

/** Five frames where the exact instant does not matter. No part of the job yet: the mechanism for preview strips. */
function stripCommand(source: Source, seconds: number, folder: string): Command {
  return {
    before: [...inputLimits, '-skip_frame', 'nokey'],
    input: source.path,
    after: ['-an', '-vf', `fps=${(5 / seconds).toFixed(6)}`, '-frames:v', '5', ...jpeg],
    output: join(folder, 'strip-%d.jpg'),
  };
}

function screenshots(source: Source, folder: string, meter: Meter): Promise<Used> {
  return meter.of(
    () =>
      new Promise<void>((resolve, reject) => {
        const run = fluent(source.path);
        run.setFfmpegPath(meter.program);
        run.once('end', () => resolve());
        run.once('error', reject);
        run.screenshots({ count: 5, folder, filename: 'shot-%i.jpg' });
      }),
  );
}

const round = (mine: Used, other: Used): Round => ({
  ours: mine.wallSeconds,
  theirs: other.wallSeconds,
  oursCpu: mine.cpuSeconds,
  theirsCpu: other.cpuSeconds,
});

/** Goals: at most 0.1 for the middle frame, at most 0.2 for five. Needs the video corpus and /usr/bin/time. */
export async function run({ quick }: BenchOptions): Promise<Goal[]> {
  const folder = await mkdtemp(join(tmpdir(), 'jobfleet-bench-'));
  try {
    const meter = await openMeter(folder);
    // Always the long clip: the goal is about what need not be decoded.
    const source = await probe(await grainyClip(folder, 31), 1, signal);
    const seconds = source.durationSeconds ?? 31;
    const size = source.video?.display ?? { width: 1_920, height: 1_080 };
    const atSeconds = seconds / 2;
    const poster = posterCommand(source, {
      atSeconds,
      isKeyFrame: true,
      size,
      canToneMap: false,
      output: join(folder, 'poster.jpg'),
    });
    const late: Command = {
      before: [],
      input: source.path,
      after: ['-ss', atSeconds.toFixed(3), '-frames:v', '1', ...jpeg, '-update', '1'],
      output: join(folder, 'late.jpg'),
    };
    const one: Round[] = [];
    const five: Round[] = [];
    for (let at = 0; at < (quick ? 3 : 5); at += 1) {
      one.push(round(await metered(poster, meter), await metered(late, meter)));
      five.push(
        round(await metered(stripCommand(source, seconds, folder), meter), await screenshots(source, folder, meter)),
      );
    }
    return [
      goal(
        { goal: 'M2', name: 'frame from the middle, seconds, against -ss after -i', backend: '-' },
        one,
        atMost(0.1, 0.2),
      ),
      goal(
        { goal: 'M2', name: 'five preview frames, seconds, against fluent-ffmpeg screenshots', backend: '-' },
        five,
        atMost(0.2, 0.4),
      ),
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
