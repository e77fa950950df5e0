/** Small clips made with ffmpeg's own test sources, and runs of the video handler on them. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Result } from '../../jobs/define.ts';
import handler from '../../jobs/video-transcoding/handler.ts';
import type videoTranscoding from '../../jobs/video-transcoding/job.ts';
import { type JobRun, type RunJobOptions, runJob } from '../../workers/testing.ts';

/** A sine of one second. */
export const tone = 'sine=frequency=440:duration=1';
export const fastH264 = '-c:v libx264 -preset ultrafast -pix_fmt yuv420p';

/** Writes `<folder>/<name>` from `lavfi` sources and answers its bytes. `options` are words. */
export async function clip(folder: string, name: string, sources: readonly string[], options: string): Promise<Buffer> {
  const path = join(folder, name);
  const inputs = sources.flatMap((one) => ['-f', 'lavfi', '-i', one]);
  const words = options.split(' ').filter((word) => word !== '');
  await promisify(execFile)('ffmpeg', ['-nostdin', '-v', 'error', '-y', ...inputs, ...words, path], {
    timeout: 60_000,
  });
  return readFile(path);
}

/** One attempt of video-transcoding on these bytes. */
export function transcode(bytes: Uint8Array, options: RunJobOptions = {}, payload: object = {}): Promise<JobRun> {
  const inputs = { 'in.bin': bytes };
  return runJob(handler, { video_url: 'object:t/-/in.bin', user_id: 'user_1', ...payload }, { inputs, ...options });
}

/** The result of a run that must have succeeded; throws what it failed with. */
export function resultOf(run: JobRun): Result<typeof videoTranscoding> {
  if (run.outcome.state !== 'done')
    throw new Error(`the run ended ${JSON.stringify(run.outcome)}`, { cause: run.error });
  return run.result as Result<typeof videoTranscoding>;
}

/** `360p 640x360` for each rendition. */
export function shapesOf(run: JobRun): string[] {
  return resultOf(run).renditions.map((one) => `${one.name} ${one.width}x${one.height}`);
}

/** Where `download(objects, 't/-/', root)` put an `object:` of a result. */
export function pathOf(root: string, object: string): string {
  return join(root, object.replace('object:t/-/', ''));
}
