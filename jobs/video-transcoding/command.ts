/**
 * The one ffmpeg run of a job, as a list of arguments. Pure. The source is read and decoded once, each picture is
 * scaled from the next larger one, the sound is encoded once for all. No text of a user is ever part of an argument.
 */
import type { Command } from './ffmpeg.ts';
import type { Rung } from './ladder.ts';
import { inputLimits, maxSeconds, type Source } from './probe.ts';

export interface Encoding {
  readonly source: Source;
  /** What is still to be made, smallest first. */
  readonly rungs: readonly Rung[];
  /** Undefined: no sound, or kept already. */
  readonly audioKbps: number | undefined;
  readonly segmentSeconds: number;
  /** Absolute; every rendition gets a folder of its name in it. */
  readonly folder: string;
  /** Threads of each H.264 encoder. */
  readonly threads: number;
  readonly limitSeconds: number;
  /** Whether this ffmpeg has `zscale` and `tonemap`. Without them HDR is only made 8-bit: dull, but it plays. */
  readonly canToneMap: boolean;
}

/** Folder name of the shared sound. */
export const audioName = 'audio';

function options(values: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => [name, `${value}`]);
}

// PQ or HLG to the ordinary range: linear light, map, back to BT.709.
const toneMap = [
  'zscale=t=linear:npl=100',
  'format=gbrpf32le',
  'zscale=p=bt709',
  'tonemap=tonemap=hable:desat=0',
  'zscale=t=bt709:m=bt709:r=tv',
];

/** Filters that turn any decoded frame into one of this size that every player shows: square pixels, 8 bit 4:2:0. */
export function frameFilters(
  size: { readonly width: number; readonly height: number },
  hdr: { readonly isHdr: boolean; readonly canToneMap: boolean },
): string[] {
  const mapped = hdr.isHdr && hdr.canToneMap ? toneMap : [];
  // Also where the size is the source's own: a stream may change its size half way. `out_range`: cameras that record the
  // full range would else be shown too dark or too bright.
  const scale = `scale=w=${size.width}:h=${size.height}:flags=bicubic:out_range=tv`;
  return [...mapped, scale, 'setsar=1', 'format=yuv420p'];
}

function graph(encoding: Encoding, video: NonNullable<Source['video']>): string {
  const largestFirst = encoding.rungs.toReversed();
  const parts: string[] = [];
  let from = `0:${video.index}`;
  let stepped = 1;
  for (const [at, rung] of largestFirst.entries()) {
    const filters: string[] = [];
    const { cadence } = rung;
    if (cadence.kind === 'constant' && at === 0) filters.push(`fps=${cadence.base.num}/${cadence.base.den}`);
    if (cadence.kind === 'constant' && cadence.step > stepped) {
      filters.push(`framestep=${cadence.step / stepped}`);
      stepped = cadence.step;
    }
    if (at === 0) filters.push(...frameFilters(rung, { isHdr: video.isHdr, canToneMap: encoding.canToneMap }));
    else filters.push(`scale=w=${rung.width}:h=${rung.height}:flags=bicubic`);
    const isLast = at === largestFirst.length - 1;
    parts.push(`[${from}]${filters.join(',')}${isLast ? `[v${at}]` : `,split=2[v${at}][s${at}]`}`);
    from = `s${at}`;
  }
  return parts.join(';');
}

function rungOptions(rung: Rung, at: number): string[] {
  // A key frame every 2 s. Constant frames are counted, so that 30 and 60 a second share their key frames; frames with
  // times of their own are told by time and keep those times (the guessed rate as time base would drop some).
  const { cadence } = rung;
  const isConstant = cadence.kind === 'constant';
  const key = isConstant ? `expr:gte(n,n_forced*${cadence.keyEvery})` : 'expr:gte(t,n_forced*2)';
  const values = {
    '-maxrate': `${rung.maxrateKbps}k`,
    '-bufsize': `${rung.bufsizeKbps}k`,
    '-profile': rung.profile,
    '-level': rung.level,
    '-force_key_frames': key,
    ...(isConstant ? {} : { '-enc_time_base': '1:90000' }),
  };
  return Object.entries(values).flatMap(([name, value]) => [`${name}:v:${at}`, value]);
}

function streamMap(names: readonly string[], hasAudio: boolean): string {
  const group = hasAudio && names.length > 0 ? ',agroup:a' : '';
  const pictures = names.map((name, at) => `v:${at}${group},name:${name}`);
  const sound = hasAudio ? [`a:0${group}${group === '' ? '' : ',default:yes'},name:${audioName}`] : [];
  return [...pictures, ...sound].join(' ');
}

function pictureOptions(encoding: Encoding, video: NonNullable<Source['video']>, rungs: readonly Rung[]): string[] {
  return [
    ...options({ '-filter_complex_threads': 1, '-filter_complex': graph(encoding, video) }),
    ...rungs.flatMap((_, at) => ['-map', `[v${at}]`]),
    ...options({
      '-c:v': 'libx264',
      '-preset': 'veryfast',
      '-crf': 21,
      // Key frames where we force them and nowhere else: 600 frames are more than 2 s of any source.
      '-sc_threshold': 0,
      '-g': 600,
      '-fps_mode:v': 'vfr',
      '-threads:v': encoding.threads,
    }),
    ...rungs.flatMap(rungOptions),
  ];
}

/**
 * A file name that is the same whichever renditions are made together: what a killed attempt has stored already is then
 * written over, not left beside. ffmpeg numbers them by position, and fills `%v` in only where there are several.
 */
function initName(names: readonly string[]): string {
  return `init_${names.length === 1 ? names[0] : '%v'}.mp4`;
}

/** Makes `<folder>/<name>/index.m3u8`, its initialisation and its segments for every missing rendition. */
export function transcodeCommand(encoding: Encoding): Command {
  const { source, folder, threads, audioKbps } = encoding;
  const rungs = encoding.rungs.toReversed();
  const video = rungs.length === 0 ? undefined : source.video;
  const audio = audioKbps === undefined ? undefined : source.audio;
  const names = rungs.map((rung) => rung.name);
  return {
    before: [
      ...inputLimits,
      ...options({ '-threads': 2, '-t': maxSeconds + 1, '-max_error_rate': 0.1 }),
      // CPU seconds, all threads together. No `-fs`: the HLS muxer opens its files itself and does not count them; what a
      // run writes is held by the limits of its child, per file and for its folder.
      ...options({ '-timelimit': encoding.limitSeconds * (threads + 2) }),
    ],
    input: source.path,
    after: [
      ...(video === undefined ? [] : pictureOptions(encoding, video, rungs)),
      ...(audio === undefined
        ? []
        : options({ '-map': `0:${audio.index}`, '-c:a': 'aac', '-b:a': `${audioKbps}k`, '-ac': 2, '-ar': 48_000 })),
      '-dn',
      '-sn',
      ...options({
        '-map_metadata': -1,
        '-map_chapters': -1,
        '-max_muxing_queue_size': 4_096,
        // Without shifting, renditions of different runs share one time line.
        '-avoid_negative_ts': 'disabled',
        '-f': 'hls',
        '-hls_time': encoding.segmentSeconds,
        '-hls_playlist_type': 'vod',
        '-hls_segment_type': 'fmp4',
        '-hls_fmp4_init_filename': initName(audio === undefined ? names : [...names, audioName]),
        '-hls_flags': 'independent_segments',
        '-var_stream_map': streamMap(names, audio !== undefined),
        '-hls_segment_filename': `${folder}/%v/seg_%05d.m4s`,
      }),
    ],
    output: `${folder}/%v/index.m3u8`,
  };
}
