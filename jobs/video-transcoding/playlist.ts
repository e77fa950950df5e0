/** Playlists: reads what ffmpeg wrote, writes the master from what was measured. Pure. */

export interface MediaPlaylist {
  /** File name of the initialisation segment. */
  readonly init: string;
  readonly segments: readonly { readonly file: string; readonly seconds: number }[];
}

/** A finished rendition as the master playlist names it. Bits per second are measured from the files. */
export interface Track {
  readonly uri: string;
  readonly codecs: string;
  readonly averageBps: number;
  readonly peakBps: number;
}
export interface VideoTrack extends Track {
  readonly width: number;
  readonly height: number;
  readonly framesPerSecond: number;
}

/** Parses ffmpeg's playlist of one rendition. Throws when it is not complete: a run that ended half way. */
export function readMediaPlaylist(text: string): MediaPlaylist {
  const init = /^#EXT-X-MAP:URI="([^"]+)"/m.exec(text)?.[1];
  const segments = [...text.matchAll(/^#EXTINF:([\d.]+),[^\n]*\n([^#\n]+)$/gm)].map(([, seconds, file]) => ({
    file: (file ?? '').trim(),
    seconds: Number(seconds),
  }));
  if (init === undefined || segments.length === 0 || !text.includes('#EXT-X-ENDLIST'))
    throw new Error('ffmpeg wrote an unfinished playlist; expected an initialisation, segments and an end');
  return { init, segments };
}

/**
 * Average, and peak as RFC 8216 4.1 defines it: the highest rate of any run of segments that lasts 0.5 to 1.5 target
 * durations. A clip shorter than that peaks at its average. Bits per second.
 */
export function measure(segments: readonly { readonly bytes: number; readonly seconds: number }[]): {
  readonly averageBps: number;
  readonly peakBps: number;
} {
  const seconds = segments.reduce((sum, one) => sum + one.seconds, 0);
  const bytes = segments.reduce((sum, one) => sum + one.bytes, 0);
  const averageBps = seconds > 0 ? Math.ceil((8 * bytes) / seconds) : 8 * bytes;
  const target = Math.round(Math.max(...segments.map((one) => one.seconds), 0));
  let peakBps = averageBps;
  for (const from of segments.keys()) {
    let runSeconds = 0;
    let runBytes = 0;
    for (const one of segments.slice(from, from + 64)) {
      runSeconds += one.seconds;
      runBytes += one.bytes;
      if (runSeconds > 1.5 * target) break;
      if (runSeconds >= 0.5 * target && runSeconds > 0)
        peakBps = Math.max(peakBps, Math.ceil((8 * runBytes) / runSeconds));
    }
  }
  return { averageBps, peakBps };
}

/** The master playlist. Without video tracks the sound is the one variant; without sound there is no group. */
export function masterPlaylist(videos: readonly VideoTrack[], audio: Track | undefined): string {
  const lines = ['#EXTM3U', '#EXT-X-VERSION:7', '#EXT-X-INDEPENDENT-SEGMENTS'];
  if (audio !== undefined && videos.length === 0)
    lines.push(
      `#EXT-X-STREAM-INF:BANDWIDTH=${audio.peakBps},AVERAGE-BANDWIDTH=${audio.averageBps},CODECS="${audio.codecs}"`,
      audio.uri,
    );
  if (audio !== undefined && videos.length > 0)
    lines.push(
      `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="audio",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="${audio.uri}"`,
    );
  for (const video of videos) {
    const facts = [
      `BANDWIDTH=${video.peakBps + (audio?.peakBps ?? 0)}`,
      `AVERAGE-BANDWIDTH=${video.averageBps + (audio?.averageBps ?? 0)}`,
      `CODECS="${[video.codecs, ...(audio === undefined ? [] : [audio.codecs])].join(',')}"`,
      `RESOLUTION=${video.width}x${video.height}`,
      `FRAME-RATE=${video.framesPerSecond.toFixed(3)}`,
      ...(audio === undefined ? [] : ['AUDIO="audio"']),
    ];
    lines.push(`#EXT-X-STREAM-INF:${facts.join(',')}`, video.uri);
  }
  return `${lines.join('\n')}\n`;
}

/**
 * RFC 6381 name of what was encoded, from the bytes of an initialisation segment: `avc1.64001f` from the decoder
 * record, `mp4a.40.2` from the audio configuration. Throws when it holds neither.
 */
export function codecsOf(init: Uint8Array): string {
  const bytes = Buffer.from(init.buffer, init.byteOffset, init.byteLength);
  const avc = bytes.indexOf('avcC');
  if (avc > 0 && bytes.length >= avc + 8) return `avc1.${bytes.subarray(avc + 5, avc + 8).toString('hex')}`;
  const esds = bytes.indexOf('esds');
  const config = esds > 0 ? decoderConfig(bytes.subarray(esds + 8)) : undefined;
  if (config === undefined) throw new Error('ffmpeg wrote an initialisation segment without H.264 or AAC in it');
  return config;
}

/** Walks the descriptors of an `esds` box (ISO 14496-1: tag, length in base 128, body) to the object type and the audio type in it. */
function decoderConfig(descriptors: Buffer): string | undefined {
  let at = 0;
  let objectType: number | undefined;
  while (at + 2 <= descriptors.length) {
    const tag = descriptors[at];
    at += 1;
    while (((descriptors[at] ?? 0) & 0x80) !== 0) at += 1;
    at += 1;
    if (tag === 0x03) at += 3;
    else if (tag === 0x04) {
      objectType = descriptors[at];
      at += 13;
    } else if (tag === 0x05 && objectType !== undefined) {
      return `mp4a.${objectType.toString(16)}.${(descriptors[at] ?? 0) >> 3}`;
    } else return undefined;
  }
  return undefined;
}
