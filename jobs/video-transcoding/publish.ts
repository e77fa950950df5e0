/** The last steps: poster, master playlist, result. Each names only what is complete in the store. */
import { writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { JobContext, Result } from '../define.ts';
import type { RunOptions } from './ffmpeg.ts';
import type videoTranscoding from './job.ts';
import type { Plan } from './plan.ts';
import { masterPlaylist, type Track, type VideoTrack } from './playlist.ts';
import { makePoster } from './poster.ts';
import type { Source } from './probe.ts';
import { contentTypeOf, type Kept } from './renditions.ts';

/** Everything one attempt works with. */
export interface Work {
  readonly source: Source;
  readonly plan: Plan;
  readonly ctx: JobContext;
  readonly run: RunOptions;
  /** The source is HDR and this ffmpeg can tone-map. */
  readonly canToneMap: boolean;
}

/** `object:<key>` of the poster, made unless it is kept; undefined for sound alone or when no frame could be had. */
export async function storePoster(work: Work, durationSeconds: number): Promise<string | undefined> {
  const { plan, ctx, source, canToneMap } = work;
  if (plan.poster === undefined) return undefined;
  const found = await ctx.objects.head(plan.poster.key);
  if (found !== undefined) return found.object;
  const output = join(ctx.folder, 'poster.jpg');
  const wanted = { durationSeconds, size: plan.poster.rung, canToneMap, output };
  if (await makePoster(source, wanted, work.run)) {
    return (await ctx.objects.put(plan.poster.key, output, 'image/jpeg')).object;
  }
  ctx.log('no frame for a poster', { durationSeconds }, 'warn');
  return undefined;
}

/** Stores the master playlist beside the folders of its renditions and answers `object:<key>`. */
export async function storeMaster({ plan, ctx }: Work, kept: readonly Kept[]): Promise<string> {
  const videos: VideoTrack[] = [];
  let audio: Track | undefined;
  for (const { track, facts, object } of kept) {
    const uri = `${basename(dirname(object))}/${basename(object)}`;
    if (track.kind === 'audio') {
      audio = { ...facts, uri };
      continue;
    }
    const { width, height, cadence } = track.rung;
    videos.push({ ...facts, uri, width, height, framesPerSecond: cadence.rate.num / cadence.rate.den });
  }
  const path = join(ctx.folder, 'master.m3u8');
  await writeFile(path, masterPlaylist(videos, audio));
  return (await ctx.objects.put(plan.masterKey, path, contentTypeOf(path))).object;
}

/** The renditions as the result lists them: the pictures smallest first, or the sound when there is no picture. */
export function renditionsOf(plan: Plan, kept: readonly Kept[]): Result<typeof videoTranscoding>['renditions'] {
  return kept
    .filter(({ track }) => track.kind === plan.kind)
    .map(({ track, facts, object }) => ({
      name: track.name,
      width: track.kind === 'video' ? track.rung.width : 0,
      height: track.kind === 'video' ? track.rung.height : 0,
      averageKbps: Math.round(facts.averageBps / 1_000),
      key: object,
    }));
}
