import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ladder, segmentCount } from './ladder.ts';

interface Examples {
  readonly video_ladder: {
    readonly seed_job: { readonly data: { readonly resolutions: ('360p' | '720p' | '1080p')[] } };
    readonly cases: {
      source: string;
      display: string;
      renditions: { name: string; width: number; height: number }[];
    }[];
    readonly bitrates: Record<
      string,
      { video_kbps: number; maxrate_kbps: number; bufsize_kbps: number; audio_kbps: number }
    >;
    readonly segment_math: { duration: number; target: number; segments: number }[];
  };
}
const path = join(process.env['TEST_DATA'] ?? '../shared/data', 'domain-examples.json');
const examples = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Examples).video_ladder : undefined;

describe.skipIf(examples === undefined)('video_ladder of the worked examples', () => {
  for (const { source, display, renditions } of examples?.cases ?? [])
    it(`plans ${source} (${display})`, () => {
      const [width = 0, height = 0] = display.split('x').map(Number);
      const rungs = ladder({ width, height }, examples?.seed_job.data.resolutions ?? [], { num: 25, den: 1 });
      expect(rungs.map((rung) => ({ name: rung.name, width: rung.width, height: rung.height }))).toEqual(renditions);
    });

  it('has the bit rates of the table', () => {
    for (const rung of ladder({ width: 1_920, height: 1_080 }, ['360p', '720p', '1080p'], { num: 25, den: 1 }))
      expect(examples?.bitrates[rung.name]).toMatchObject({
        video_kbps: rung.averageKbps,
        maxrate_kbps: rung.maxrateKbps,
        bufsize_kbps: rung.bufsizeKbps,
        audio_kbps: rung.audioKbps,
      });
  });

  it('counts segments', () => {
    for (const { duration, target, segments } of examples?.segment_math ?? [])
      expect(segmentCount(duration, target)).toBe(segments);
  });
});
