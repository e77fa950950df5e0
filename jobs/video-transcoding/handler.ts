import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { defineHandler } from '../define.ts';
import { giveUp } from '../errors.ts';
import { transcodeCommand } from './command.ts';
import { canToneMap, type Driver, ffmpegMissing, runFfmpeg } from './ffmpeg.ts';
import videoTranscoding from './job.ts';
import { limitSeconds } from './ladder.ts';
import { planOf, type Track } from './plan.ts';
import { maxSeconds, probe, type Source } from './probe.ts';
import { renditionsOf, storeMaster, storePoster, type Work } from './publish.ts';
import { findKept, inspect, type Kept, keep, type Made } from './renditions.ts';

const maxSourceBytes = 8 * 2 ** 30;
// x264's own choice is 1.5 a core; more than twelve only cost memory.
const maxThreads = 12;
// Shares of the progress bar: fetch and look, encode, store.
const encodeFrom = 2;
const encodeTo = 88;
const storeTo = 98;

/** Percent of the encode; without a duration it nears the end and never reaches it. */
function encodePercent(seconds: number, durationSeconds: number | undefined): number {
  const share = durationSeconds === undefined ? seconds / (seconds + 60) : Math.min(1, seconds / durationSeconds);
  return Math.round(10 * (encodeFrom + (encodeTo - encodeFrom) * share)) / 10;
}

/** One ffmpeg run for everything that is missing; answers what it made, checked and measured. */
async function encode(work: Work, missing: readonly Track[]): Promise<readonly Made[]> {
  const { source, plan, ctx, run } = work;
  const folder = join(ctx.folder, 'out');
  for (const track of missing) await mkdir(join(folder, track.name), { recursive: true });
  const command = transcodeCommand({
    source,
    rungs: missing.flatMap((track) => (track.kind === 'video' ? [track.rung] : [])),
    audioKbps: missing.find((track) => track.kind === 'audio')?.kbps,
    segmentSeconds: plan.segmentSeconds,
    folder,
    threads: Math.min(maxThreads, Math.ceil(availableParallelism() * 1.5)),
    limitSeconds: run.limitSeconds,
    canToneMap: work.canToneMap,
  });
  await runFfmpeg(command, {
    ...run,
    onProgress: ({ seconds, frames }) =>
      ctx.progress(encodePercent(seconds, source.durationSeconds), `${seconds.toFixed(1)} s, ${frames} frames`),
  });
  const made: Made[] = [];
  for (const track of missing) made.push(await inspect(track, join(folder, track.name), ctx.signal));
  return made;
}

/** A file that was cut off decodes without an error: only its length tells. */
function refuseWrongLength(source: Source, encodedSeconds: number): void {
  if (encodedSeconds > maxSeconds)
    throw giveUp('LIMIT_EXCEEDED', `the file lasts longer than ${maxSeconds} s and does not say so`);
  if (source.durationSeconds !== undefined && encodedSeconds < 0.9 * source.durationSeconds - 1)
    throw giveUp(
      'BAD_SOURCE',
      `the file ends after ${encodedSeconds.toFixed(1)} of the ${source.durationSeconds.toFixed(1)} s it declares`,
    );
}

/** Encodes and stores what is not kept yet; answers all tracks in the plan's order. */
async function complete(work: Work): Promise<readonly Kept[]> {
  const { ctx, plan } = work;
  const kept = new Map<Track, Kept>();
  for (const track of plan.tracks) {
    const found = await findKept(track, ctx);
    if (found !== undefined) kept.set(track, found);
  }
  const missing = plan.tracks.filter((track) => !kept.has(track));
  ctx.log(`to encode: ${missing.map((track) => track.name).join(', ') || 'nothing, all is kept'}`);
  if (missing.length > 0) {
    const made = await encode(work, missing);
    const lengths = [...made, ...kept.values()].map(({ facts }) => facts.durationSeconds);
    refuseWrongLength(work.source, Math.max(...lengths));
    const total = made.reduce((sum, one) => sum + one.files.length, 0);
    let stored = 0;
    const onStored = (): void => {
      stored += 1;
      ctx.progress(encodeTo + ((storeTo - encodeTo) * stored) / total, `stored ${stored} of ${total} files`);
    };
    for (const one of made) kept.set(one.track, await keep(one, ctx, onStored));
  }
  return plan.tracks.flatMap((track) => kept.get(track) ?? []);
}

export default defineHandler(videoTranscoding, {
  env: z.object({
    FFMPEG_DRIVER: z
      .enum(['spawn', 'fluent'])
      .default('spawn')
      .describe('How ffmpeg is started; the outputs are equal'),
  }),
  missing: () => ffmpegMissing(),
  open: (env): { readonly driver: Driver; readonly close?: () => void } => ({ driver: env.FFMPEG_DRIVER }),
  async run(payload, ctx, { driver }) {
    const input = await ctx.objects.fetch(payload.video_url, { maxBytes: maxSourceBytes });
    const source = await probe(input.path, input.sizeBytes, ctx.signal);
    ctx.progress(encodeFrom, 'looked at the source');
    const work: Work = {
      source,
      plan: planOf(source, payload, input.sha256),
      ctx,
      run: {
        driver,
        signal: ctx.signal,
        limitSeconds: limitSeconds(source.durationSeconds, source.sizeBytes),
      },
      canToneMap: source.video?.isHdr === true && (await canToneMap()),
    };
    const kept = await complete(work);
    const durationSeconds = source.durationSeconds ?? Math.max(...kept.map(({ facts }) => facts.durationSeconds));
    const poster = await storePoster(work, durationSeconds);
    const playlist = await storeMaster(work, kept);
    ctx.progress(100);
    return {
      kind: work.plan.kind,
      playlist,
      ...(poster === undefined ? {} : { poster }),
      durationSeconds,
      renditions: renditionsOf(work.plan, kept),
    };
  },
});
