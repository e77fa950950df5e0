import { z } from 'zod';
import { defineJob, inputFile } from '../define.ts';

/** One video or sound file in, one HLS ladder out. The snake_case fields are those of the source contract. */
export default defineJob({
  name: 'video-transcoding',
  aliases: ['video_transcoding'],
  summary: 'Turn a video into an HLS ladder with a poster, never enlarged.',
  payload: z.strictObject({
    video_url: inputFile(),
    user_id: z.string().min(1).max(128),
    resolutions: z
      .array(z.enum(['360p', '720p', '1080p']))
      .min(1)
      .max(3)
      .default(['360p', '720p', '1080p']),
    segmentSeconds: z.int().min(2).max(10).default(6),
  }),
  result: z.object({
    kind: z.enum(['video', 'audio']),
    playlist: z.string(),
    poster: z.string().optional(),
    durationSeconds: z.number().nonnegative(),
    // Smallest first. Sound alone is one rendition named `audio` of 0×0.
    renditions: z.array(
      z.object({ name: z.string(), width: z.int(), height: z.int(), averageKbps: z.int(), key: z.string() }),
    ),
  }),
  policy: {
    order: 'fair',
    timeoutMs: 3_600_000,
    graceMs: 8_000, // ffmpeg gets SIGTERM, 5 s, SIGKILL; the rest is for tidying up
    concurrency: 1, // one transcode uses two cores and more: scale by worker processes
    isolation: 'child',
    // 1080p in one run takes 0.5 GB, an 8K source 1 GB more; 6 h at the maxima is 25 GB; CPU is one hour on twelve threads.
    child: { memoryMb: 2_048, diskMb: 32_768, cpuSeconds: 43_200, processes: 16, quietMs: 60_000 },
  },
});
