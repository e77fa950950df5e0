/**
 * What a source is, by its bytes alone: ffprobe with the whitelists of the transcode, a time limit and a cap on what it
 * may print. Refuses what is no media, what names other files, and what is over the limits.
 */
import { type ExecFileException, execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { giveUp, retry } from '../errors.ts';
import { failureOf, isReadTrouble, refusalOf } from './failure.ts';
import { displaySize, type Rate, type Size } from './ladder.ts';

/** Options that stand before every input, of ffprobe and ffmpeg alike: what may be opened and how large it may be. */
export const inputLimits: readonly string[] = [
  '-protocol_whitelist',
  'file',
  '-format_whitelist',
  'mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mp3,wav,ogg,flac,aac',
  '-codec_whitelist',
  [
    'h264,hevc,av1,libdav1d,libaom-av1,vp8,vp9,libvpx,libvpx-vp9,mpeg4,mpeg2video,mpeg1video,h263,msmpeg4v3,msmpeg4v2',
    'msmpeg4,wmv1,wmv2,vc1,wmv3,mjpeg,png,bmp,gif,webp,prores,dnxhd,ffv1,huffyuv,rawvideo,theora,dvvideo,cinepak',
    'aac,aac_latm,mp3,mp3float,mp2,mp2float,opus,libopus,vorbis,libvorbis,flac,alac,ac3,ac3_fixed,eac3,dca,truehd',
    'amrnb,amrwb,libopencore_amrnb,libopencore_amrwb,wmav1,wmav2,adpcm_ms,adpcm_ima_wav,adpcm_ima_qt,gsm,gsm_ms',
    'pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,pcm_u8,pcm_s8',
    'pcm_alaw,pcm_mulaw,mov_text,subrip,srt,ass,ssa,webvtt,dvbsub,dvdsub,pgssub',
  ].join(','),
  '-max_pixels',
  '40000000',
  '-max_streams',
  '32',
];

/** Longer sources are refused; a source that does not say is cut one second later and then refused. */
export const maxSeconds = 6 * 3_600;
const maxPixels = 40_000_000;
const maxStreams = 32;
// libx264 refuses longer sides.
const maxSide = 16_384;

export interface VideoFacts {
  readonly index: number;
  /** Turned and with square pixels. */
  readonly display: Size;
  /** Undefined when the container holds no believable one. */
  readonly rate: Rate | undefined;
  /** PQ or HLG: must be tone-mapped for ordinary screens. */
  readonly isHdr: boolean;
}

export interface Source {
  readonly path: string;
  readonly sizeBytes: number;
  /** Undefined when neither container nor streams say. */
  readonly durationSeconds: number | undefined;
  readonly video: VideoFacts | undefined;
  readonly audio: { readonly index: number } | undefined;
}

const stream = z.looseObject({
  index: z.int().nonnegative(),
  codec_type: z.string().optional(),
  codec_name: z.string().optional(),
  width: z.int().optional(),
  height: z.int().optional(),
  sample_aspect_ratio: z.string().optional(),
  avg_frame_rate: z.string().optional(),
  r_frame_rate: z.string().optional(),
  color_transfer: z.string().optional(),
  duration: z.string().optional(),
  disposition: z.looseObject({ attached_pic: z.int().optional(), default: z.int().optional() }).optional(),
  side_data_list: z.array(z.looseObject({ rotation: z.number().optional() })).optional(),
  tags: z.looseObject({ rotate: z.string().optional() }).optional(),
});
const report = z.looseObject({
  streams: z.array(stream).default([]),
  format: z.looseObject({ duration: z.string().optional() }).default({}),
});
type Stream = z.output<typeof stream>;

// Text formats that name other files or addresses. ffprobe refuses them too; this says why.
const playlists = /^\s*(#EXTM3U|ffconcat|<\?xml|<MPD|v=0\s|concat:|subfile[,:]|data:|https?:|file:|\[playlist\])/i;

async function refusePlaylists(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(512), 0, 512, 0);
    const head = buffer.subarray(0, bytesRead).toString('latin1').replace(/^ï»¿/, '');
    if (playlists.test(head))
      throw giveUp(
        'FORBIDDEN_TARGET',
        'the input is text that names other files or addresses (a playlist); expected the video itself',
      );
  } finally {
    await file.close();
  }
}

/** Runs ffprobe on a local file and answers its JSON. `extra` are further options before the input. */
export async function ffprobe(
  path: string,
  options: { readonly before: readonly string[]; readonly extra: readonly string[]; readonly signal: AbortSignal },
): Promise<unknown> {
  const args = ['-v', 'error', '-print_format', 'json', ...options.before, ...options.extra, `file:${path}`];
  const limits = { timeout: 30_000, killSignal: 'SIGKILL', maxBuffer: 4 << 20, signal: options.signal } as const;
  return new Promise((resolve, reject) => {
    execFile('ffprobe', args, limits, (error, stdout, stderr) => {
      // A frame over the pixel limit is only complained about: its stream is listed without a size.
      const refused = refusalOf('ffprobe', stderr);
      if (options.signal.aborted) reject(options.signal.reason);
      else if (refused !== undefined) reject(refused);
      else if (error !== null && isReadTrouble(stderr))
        readWhole(path, options.signal).then(() => reject(brokenOff()), reject);
      else if (error !== null) reject(probeFailure(error, stderr));
      else resolve(JSON.parse(stdout));
    });
  });
}

/** To a demuxer the end of a file that should go on is a failed read. */
function brokenOff(): Error {
  return giveUp('BAD_SOURCE', 'ffprobe cannot read on, although every byte of the file can be read: it breaks off');
}

/** Rejects where the disk is to blame. */
async function readWhole(path: string, signal: AbortSignal): Promise<void> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  await pipeline(createReadStream(path), nowhere, { signal });
}

function probeFailure(error: ExecFileException, stderr: string): Error {
  if (error.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER')
    return giveUp('BAD_SOURCE', 'ffprobe printed more than 4 MB about the input; expected a sane file');
  if (error.killed === true)
    return retry('LIMIT_EXCEEDED', 'ffprobe was still looking at the input after 30 s; killed');
  if (typeof error.code === 'string') return error;
  return failureOf('ffprobe', { code: error.code ?? null, signal: error.signal ?? null, stderr });
}

/** `30000/1001`. Zero, negative, or above 240: not known, since the field can hold a time base. */
function rateOf(text: string | undefined): Rate | undefined {
  const [num, den] = (text ?? '').split('/').map(Number);
  if (num === undefined || den === undefined || !(num > 0) || !(den > 0) || num / den > 240) return undefined;
  return { num, den };
}

function ratioOf(text: string | undefined): number {
  const [num, den] = (text ?? '').split(':').map(Number);
  return num !== undefined && den !== undefined && num > 0 && den > 0 ? num / den : 1;
}

function rotationOf(video: Stream): number {
  const matrix = video.side_data_list?.find((side) => side.rotation !== undefined)?.rotation;
  const degrees = matrix ?? Number(video.tags?.rotate ?? 0);
  return Number.isFinite(degrees) ? degrees : 0;
}

function secondsOf(texts: readonly (string | undefined)[]): number | undefined {
  const known = texts.map(Number).filter((seconds) => Number.isFinite(seconds) && seconds > 0);
  return known.length === 0 ? undefined : Math.max(...known);
}

function videoOf(streams: readonly Stream[]): VideoFacts | undefined {
  const pictures = streams.filter((one) => one.codec_type === 'video' && one.disposition?.attached_pic !== 1);
  const video = pictures.find((one) => one.disposition?.default === 1) ?? pictures[0];
  if (video === undefined) return undefined;
  const { width = 0, height = 0 } = video;
  if (video.codec_name === undefined || video.codec_name === 'unknown')
    throw giveUp('BAD_SOURCE', 'the picture is in a codec that ffmpeg does not know; expected for example H.264');
  if (width < 1 || height < 1) throw giveUp('BAD_SOURCE', 'the picture has no size; the file is damaged');
  const display = displaySize({ width, height }, ratioOf(video.sample_aspect_ratio), rotationOf(video));
  const pixels = Math.max(width * height, display.width * display.height);
  if (pixels > maxPixels || Math.max(display.width, display.height) > maxSide)
    throw giveUp(
      'LIMIT_EXCEEDED',
      `a frame has ${display.width}×${display.height} pixels; at most 40 million and ${maxSide} a side`,
    );
  return {
    index: video.index,
    display,
    rate: rateOf(video.avg_frame_rate) ?? rateOf(video.r_frame_rate),
    isHdr: video.color_transfer === 'smpte2084' || video.color_transfer === 'arib-std-b67',
  };
}

function audioOf(streams: readonly Stream[]): { readonly index: number } | undefined {
  const sounds = streams.filter(
    (one) => one.codec_type === 'audio' && one.codec_name !== undefined && one.codec_name !== 'unknown',
  );
  const audio = sounds.find((one) => one.disposition?.default === 1) ?? sounds[0];
  return audio === undefined ? undefined : { index: audio.index };
}

/**
 * Facts of a local file. Throws BAD_SOURCE (no media, unknown codec), FORBIDDEN_TARGET (a playlist), LIMIT_EXCEEDED
 * (over 40 megapixels a frame, 6 hours, 32 streams). `path` is absolute.
 */
export async function probe(path: string, sizeBytes: number, signal: AbortSignal): Promise<Source> {
  await refusePlaylists(path);
  const answer = report.safeParse(
    await ffprobe(path, { before: inputLimits, extra: ['-show_format', '-show_streams'], signal }),
  );
  if (!answer.success)
    throw giveUp('BAD_SOURCE', `ffprobe's answer is not understood: ${z.prettifyError(answer.error)}`);
  const { streams, format } = answer.data;
  if (streams.length > maxStreams)
    throw giveUp('LIMIT_EXCEEDED', `the file has ${streams.length} streams; at most ${maxStreams}`);
  const video = videoOf(streams);
  const audio = audioOf(streams);
  if (video === undefined && audio === undefined)
    throw giveUp('BAD_SOURCE', 'the file holds neither picture nor sound that ffmpeg can read');
  const durationSeconds = secondsOf([format.duration, ...streams.map((one) => one.duration)]);
  if (durationSeconds !== undefined && durationSeconds > maxSeconds)
    throw giveUp('LIMIT_EXCEEDED', `the file lasts ${Math.round(durationSeconds)} s; at most ${maxSeconds}`);
  return { path, sizeBytes, durationSeconds, video, audio };
}
