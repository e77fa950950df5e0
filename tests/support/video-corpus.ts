/** The video files of TEST_DATA, what the manifest says of each, and what a finished transcode must have left behind. */
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Result } from '../../jobs/define.ts';
import type videoTranscoding from '../../jobs/video-transcoding/job.ts';
import { readMediaPlaylist } from '../../jobs/video-transcoding/playlist.ts';
import { parseMaster } from './hls.ts';
import { sharedEntries, takerOf } from './shared-data.ts';

export interface VideoEntry {
  /** Relative to `sharedData`. */
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

/** Empty where the data is not. */
export const videoEntries = sharedEntries.filter(({ file }) => takerOf(file) === 'video-transcoding') as VideoEntry[];

/** What the row of the manifest asks for, said independently of the ladder's own code: sizes of ordinary shapes are whole. */
export function expectedOf({ facts }: VideoEntry): string {
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

/** `360p 640x360, 720p 1280x720`, as `expectedOf` says it. */
export function renditionsOf(result: Result<typeof videoTranscoding>): string {
  return result.renditions.map((one) => `${one.name} ${one.width}x${one.height}`).join(', ');
}

/** Every key below `prefix` that the result, its playlists and their folders name; `root` holds a copy of those keys. */
export async function namedBy(
  root: string,
  result: Result<typeof videoTranscoding>,
  prefix = 't/-/',
): Promise<string[]> {
  const below = (object: string): string => object.replace(`object:${prefix}`, '');
  const playlist = below(result.playlist);
  const { media } = parseMaster(await readFile(join(root, playlist), 'utf8'));
  const playlists = new Set([
    ...result.renditions.map(({ key }) => below(key)),
    ...media.map((uri) => join(dirname(playlist), uri)),
  ]);
  const named = [playlist, ...(result.poster === undefined ? [] : [below(result.poster)])];
  for (const one of playlists) {
    const { init, segments } = readMediaPlaylist(await readFile(join(root, one), 'utf8'));
    const files = [basename(one), 'rendition.json', init, ...segments.map(({ file }) => file)];
    named.push(...files.map((file) => join(dirname(one), file)));
  }
  return named;
}
