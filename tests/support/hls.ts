/** Looks at HLS outputs as a player would: copies them to a folder, reads the playlists, decodes every rendition. */
import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import type { ObjectStore } from '../../runtime/object-store.ts';

const run = promisify(execFile);
const output = { maxBuffer: 64 << 20, timeout: 60_000 };

/** Copies every object under `prefix` into `folder`, under the rest of its key. Answers those keys. */
export async function download(objects: ObjectStore, prefix: string, folder: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of objects.list(prefix)) {
    const found = await objects.get(key);
    if (found === undefined) throw new Error(`${key} is listed and cannot be read`);
    const path = join(folder, key.slice(prefix.length));
    await mkdir(dirname(path), { recursive: true });
    await pipeline(found.body, createWriteStream(path));
    keys.push(key.slice(prefix.length));
  }
  return keys;
}

export interface Variant {
  readonly uri: string;
  readonly attributes: ReadonlyMap<string, string>;
}

/** Variants of a master playlist, and the addresses of its `EXT-X-MEDIA` renditions. Throws on a line it does not know. */
export function parseMaster(text: string): {
  readonly variants: readonly Variant[];
  readonly media: readonly string[];
} {
  const lines = text.split('\n');
  if (lines[0] !== '#EXTM3U' || lines.at(-1) !== '') throw new Error('a playlist begins with #EXTM3U and ends a line');
  const variants: Variant[] = [];
  const media: string[] = [];
  for (const [at, line] of lines.slice(0, -1).entries()) {
    const [tag, list = ''] = line.split(/:(.*)/s);
    const attributes = new Map(
      [...list.matchAll(/([A-Z0-9-]+)=("[^"]*"|[^,]*)/g)].map(([, name = '', value = '']) => [
        name,
        value.replaceAll('"', ''),
      ]),
    );
    if (tag === '#EXT-X-STREAM-INF') variants.push({ uri: lines[at + 1] ?? '', attributes });
    else if (tag === '#EXT-X-MEDIA') media.push(attributes.get('URI') ?? '');
    else if (line.startsWith('#') && !/^#(EXTM3U|EXT-X-VERSION|EXT-X-INDEPENDENT-SEGMENTS)/.test(line))
      throw new Error(`unexpected line in a master playlist: ${line}`);
  }
  return { variants, media };
}

/** Segment lengths of a media playlist, in seconds. Throws when one is longer than the declared target, or the end is missing. */
export async function segmentSeconds(path: string): Promise<number[]> {
  const text = await readFile(path, 'utf8');
  const target = Number(/#EXT-X-TARGETDURATION:(\d+)/.exec(text)?.[1]);
  const seconds = [...text.matchAll(/#EXTINF:([\d.]+)/g)].map(([, value]) => Number(value));
  if (!text.includes('#EXT-X-ENDLIST') || seconds.some((one) => Math.round(one) > target))
    throw new Error(`${path} has no end, or a segment over its target of ${target} s`);
  return seconds;
}

export interface Rates {
  readonly averageBps: number;
  /** Of the fastest segment that is not a short rest. */
  readonly peakBps: number;
}

/** Bits per second of a local rendition, from the sizes of its files. */
export async function measuredRates(path: string): Promise<Rates> {
  const seconds = await segmentSeconds(path);
  const names = (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const bytes = await Promise.all(names.map(async (name) => (await stat(join(dirname(path), name))).size));
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
  const longest = Math.max(...seconds);
  const rates = seconds.flatMap((one, at) => (one >= longest / 2 ? [(8 * (bytes[at] ?? 0)) / one] : []));
  return { averageBps: (8 * sum(bytes)) / sum(seconds), peakBps: Math.max(...rates) };
}

/** Times of the key frames of a local playlist or file, in seconds, to the millisecond. */
export async function keyFrameTimes(path: string): Promise<number[]> {
  const args = ['-v', 'error', '-protocol_whitelist', 'file', '-select_streams', 'v:0', '-skip_frame', 'nokey'];
  const { stdout } = await run(
    'ffprobe',
    [...args, '-show_entries', 'frame=pts_time', '-of', 'default=nk=1:nw=1', `file:${path}`],
    output,
  );
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Math.round(Number(line) * 1_000) / 1_000);
}

export interface Decoded {
  readonly codec: string;
  readonly width: number;
  readonly height: number;
  readonly pixelFormat: string;
  readonly transfer: string;
  readonly frames: number;
}

/** Decodes all of the first stream of that kind; throws on the first error of the decoder. */
export async function decode(path: string, kind: 'v' | 'a'): Promise<Decoded> {
  const { stdout, stderr } = await run(
    'ffprobe',
    [
      '-select_streams',
      `${kind}:0`,
      ...'-v error -protocol_whitelist file -count_frames -print_format json -show_entries stream'.split(' '),
      `file:${path}`,
    ],
    output,
  );
  if (stderr !== '') throw new Error(`${path} does not decode: ${stderr.slice(0, 400)}`);
  const stream = (JSON.parse(stdout) as { streams: Record<string, unknown>[] }).streams[0] ?? {};
  return {
    codec: String(stream['codec_name']),
    width: Number(stream['width'] ?? 0),
    height: Number(stream['height'] ?? 0),
    pixelFormat: String(stream['pix_fmt']),
    transfer: String(stream['color_transfer']),
    frames: Number(stream['nb_read_frames']),
  };
}
