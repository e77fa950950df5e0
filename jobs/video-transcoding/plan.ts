/**
 * What a job has to make and under which keys. Pure. Keys are content keys: the SHA-256 of the source and a digest of
 * everything that shapes the rendition, so that a retry, or another job on the same source, finds what is made already.
 */
import { createHash } from 'node:crypto';
import type { Payload } from '../define.ts';
import { audioName } from './command.ts';
import type videoTranscoding from './job.ts';
import { ladder, type Rung, segmentLength } from './ladder.ts';
import type { Source } from './probe.ts';

/** One HLS media playlist: a picture size, or the sound all sizes share. `key` is its folder, relative to the tenant's prefix. */
export type Track =
  | { readonly kind: 'video'; readonly name: string; readonly key: string; readonly rung: Rung }
  | { readonly kind: 'audio'; readonly name: string; readonly key: string; readonly kbps: number };

export interface Plan {
  readonly kind: 'video' | 'audio';
  /** Pictures smallest first, then the sound. Never empty. */
  readonly tracks: readonly Track[];
  readonly segmentSeconds: number;
  readonly masterKey: string;
  /** The poster has the size of the largest rung; undefined for sound alone. */
  readonly poster: { readonly key: string; readonly rung: Rung } | undefined;
}

// Raise it when the same facts give other bytes: other ffmpeg options, another master playlist.
const recipe = 1;
const soundAloneKbps = 128;

function digest(facts: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify([recipe, facts]))
    .digest('hex')
    .slice(0, 12);
}

/** `sha256` is that of the source's bytes. */
export function planOf(
  source: Source,
  asked: Pick<Payload<typeof videoTranscoding>, 'resolutions' | 'segmentSeconds'>,
  sha256: string,
): Plan {
  const { video, audio } = source;
  const rungs = video === undefined ? [] : ladder(video.display, asked.resolutions, video.rate);
  const kbps = rungs.length === 0 ? soundAloneKbps : Math.max(...rungs.map((rung) => rung.audioKbps));
  const trackCount = rungs.length + (audio === undefined ? 0 : 1);
  const segmentSeconds = segmentLength(asked.segmentSeconds, source.durationSeconds, trackCount);
  const base = `video/${sha256}`;
  const tracks: Track[] = rungs.map((rung) => ({
    kind: 'video',
    name: rung.name,
    key: `${base}/${rung.name}-${digest([rung, segmentSeconds])}`,
    rung,
  }));
  if (audio !== undefined)
    tracks.push({
      kind: 'audio',
      name: audioName,
      key: `${base}/${audioName}-${digest([kbps, segmentSeconds])}`,
      kbps,
    });
  const largest = rungs.at(-1);
  return {
    kind: largest === undefined ? 'audio' : 'video',
    tracks,
    segmentSeconds,
    masterKey: `${base}/master-${digest(tracks.map((track) => track.key))}.m3u8`,
    poster:
      largest === undefined
        ? undefined
        : { key: `${base}/poster-${digest([largest.width, largest.height])}.jpg`, rung: largest },
  };
}
