/** One JPEG from near the middle of the source. A second, seeking ffmpeg run: nothing before the middle is decoded. */
import { stat } from 'node:fs/promises';
import { frameFilters } from './command.ts';
import { type Command, type RunOptions, runFfmpeg } from './ffmpeg.ts';
import type { Size } from './ladder.ts';
import { inputLimits, type Source } from './probe.ts';

/**
 * `-ss` stands before the input: ffmpeg seeks to the key frame before that second and decodes from there. With
 * `isKeyFrame` it decodes key frames only and takes the first at or after that second, which may not be there.
 */
export function posterCommand(
  source: Pick<Source, 'path' | 'video'>,
  poster: {
    readonly atSeconds: number;
    readonly isKeyFrame: boolean;
    readonly size: Size;
    readonly canToneMap: boolean;
    readonly output: string;
  },
): Command {
  const filters = frameFilters(poster.size, {
    isHdr: source.video?.isHdr ?? false,
    canToneMap: poster.canToneMap,
  });
  return {
    before: [
      ...inputLimits,
      '-threads',
      '2',
      ...(poster.isKeyFrame ? ['-skip_frame', 'nokey'] : []),
      '-ss',
      poster.atSeconds.toFixed(3),
    ],
    input: source.path,
    after: [
      '-map',
      `0:${source.video?.index ?? 'v:0'}`,
      '-vf',
      filters.join(','),
      ...'-an -sn -dn -map_metadata -1 -frames:v 1 -c:v mjpeg -q:v 3 -f image2 -update 1'.split(' '),
    ],
    output: poster.output,
  };
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).size > 0;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}

/**
 * Writes `output` and answers true; false when neither the middle nor the start gives a frame (a declared duration can
 * be far longer than the picture).
 */
export async function makePoster(
  source: Source,
  poster: {
    readonly durationSeconds: number;
    readonly size: Size;
    readonly canToneMap: boolean;
    readonly output: string;
  },
  options: RunOptions,
): Promise<boolean> {
  const middle = poster.durationSeconds / 2;
  // The exact middle of a long group of pictures costs the decoding of half of it; a short clip may have no later key frame.
  const places = [
    { atSeconds: middle, isKeyFrame: true },
    { atSeconds: middle, isKeyFrame: false },
    { atSeconds: 0, isKeyFrame: false },
  ];
  for (const place of places) {
    await runFfmpeg(posterCommand(source, { ...poster, ...place }), options);
    if (await isFile(poster.output)) return true;
  }
  return false;
}
