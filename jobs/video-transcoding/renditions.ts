/**
 * Keeps renditions in the object store: segments first, the playlist after them, `rendition.json` last. Its presence
 * says that everything it speaks of is there, so a retry encodes only renditions that have none.
 */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { JobContext } from '../define.ts';
import { giveUp } from '../errors.ts';
import type { Track } from './plan.ts';
import { codecsOf, type MediaPlaylist, measure, readMediaPlaylist } from './playlist.ts';
import { ffprobe } from './probe.ts';

const kept = z.strictObject({
  codecs: z.string().min(1),
  averageBps: z.int().nonnegative(),
  peakBps: z.int().nonnegative(),
  durationSeconds: z.number().nonnegative(),
});
/** What `rendition.json` says: all that the master playlist and the result need to know. */
export type Facts = z.output<typeof kept>;

/** A complete rendition in the store. */
export interface Kept {
  readonly track: Track;
  readonly facts: Facts;
  /** `object:<key>` of its playlist. */
  readonly object: string;
}

/** A rendition in the job's folder, looked at and measured. */
export interface Made {
  readonly track: Track;
  readonly facts: Facts;
  readonly folder: string;
  /** Names of the initialisation and the segments. */
  readonly files: readonly string[];
}

const manifestName = 'rendition.json';
const playlistName = 'index.m3u8';
const manifestBytes = 64 * 1024;
const uploadsAtOnce = 6;

/** By the ending of our own file names. */
export function contentTypeOf(file: string): string {
  if (file.endsWith('.m3u8')) return 'application/vnd.apple.mpegurl';
  if (file.endsWith('.json')) return 'application/json';
  return file.endsWith('.mp4') ? 'video/mp4' : 'video/iso.segment';
}

/** The manifest of a complete rendition, or undefined: none, or one that this release does not understand. */
export async function findKept(track: Track, ctx: JobContext): Promise<Kept | undefined> {
  const found = await ctx.objects.head(`${track.key}/${manifestName}`);
  if (found === undefined) return undefined;
  const { path } = await ctx.objects.fetch(found.object, { maxBytes: manifestBytes });
  const text = await readFile(path, 'utf8');
  try {
    const facts = kept.safeParse(JSON.parse(text)).data;
    const object = `${found.object.slice(0, -manifestName.length)}${playlistName}`;
    return facts === undefined ? undefined : { track, facts, object };
  } catch (error) {
    // Half a manifest of another writer: the rendition is made again and written over it.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const checked = z.looseObject({
  streams: z
    .array(z.looseObject({ width: z.int().optional(), height: z.int().optional(), nb_read_frames: z.string() }))
    .length(1),
});

/** Proves that the last segment decodes and has the planned size: ffmpeg can fail and exit with 0. */
async function verify(track: Track, folder: string, playlist: MediaPlaylist, signal: AbortSignal): Promise<void> {
  const last = playlist.segments.at(-1)?.file ?? '';
  const joined = join(folder, 'last.mp4');
  await writeFile(
    joined,
    Buffer.concat([await readFile(join(folder, playlist.init)), await readFile(join(folder, last))]),
  );
  const answer = checked.safeParse(
    await ffprobe(joined, {
      before: ['-protocol_whitelist', 'file', '-skip_frame', 'nokey'],
      extra: ['-count_frames', '-show_entries', 'stream=width,height,nb_read_frames'],
      signal,
    }),
  );
  const stream = answer.data?.streams[0];
  const isRight =
    Number(stream?.nb_read_frames) > 0 &&
    (track.kind === 'audio' || (stream?.width === track.rung.width && stream.height === track.rung.height));
  if (!isRight)
    throw new Error(
      `ffmpeg said it succeeded, but the last segment of ${track.name} is not what was asked for: ${JSON.stringify(stream ?? null)}`,
    );
}

/** Reads, checks and measures what ffmpeg wrote into `folder`; stores nothing. Throws BAD_SOURCE when that is no frame at all. */
export async function inspect(track: Track, folder: string, signal: AbortSignal): Promise<Made> {
  const playlist = readMediaPlaylist(await readFile(join(folder, playlistName), 'utf8'));
  const segments: { readonly bytes: number; readonly seconds: number }[] = [];
  for (const { file, seconds } of playlist.segments)
    segments.push({ bytes: (await stat(join(folder, file))).size, seconds });
  const durationSeconds = segments.reduce((sum, one) => sum + one.seconds, 0);
  if (durationSeconds === 0)
    throw giveUp('BAD_SOURCE', `nothing of the ${track.kind} could be decoded; the file is damaged`);
  await verify(track, folder, playlist, signal);
  const facts = {
    codecs: codecsOf(await readFile(join(folder, playlist.init))),
    ...measure(segments),
    durationSeconds,
  };
  return { track, facts, folder, files: [playlist.init, ...playlist.segments.map((one) => one.file)] };
}

/** Stores a rendition, six files at a time. `onStored` after each. A failure leaves no manifest, so the next attempt makes it again. */
export async function keep(made: Made, ctx: JobContext, onStored: () => void): Promise<Kept> {
  const { track, folder, facts } = made;
  const waiting = made.files.values();
  let isFailed = false;
  const upload = async (): Promise<void> => {
    for (const file of waiting) {
      if (isFailed) return;
      ctx.signal.throwIfAborted();
      try {
        await ctx.objects.put(`${track.key}/${file}`, join(folder, file), contentTypeOf(file));
      } catch (error) {
        isFailed = true; // the others stop after the file they have in hand
        throw error;
      }
      onStored();
    }
  };
  await Promise.all(Array.from({ length: uploadsAtOnce }, upload));
  const playlist = await ctx.objects.put(
    `${track.key}/${playlistName}`,
    join(folder, playlistName),
    contentTypeOf(playlistName),
  );
  const manifest = join(folder, manifestName);
  await writeFile(manifest, JSON.stringify(facts));
  await ctx.objects.put(`${track.key}/${manifestName}`, manifest, contentTypeOf(manifestName));
  return { track, facts, object: playlist.object };
}
