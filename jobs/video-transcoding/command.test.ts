import { describe, expect, it } from 'vitest';
import { type Encoding, transcodeCommand } from './command.ts';
import { ladder, type Rate } from './ladder.ts';
import { posterCommand } from './poster.ts';
import type { Source } from './probe.ts';

const source: Source = {
  path: '/job/source',
  sizeBytes: 1,
  durationSeconds: 10,
  video: { index: 1, display: { width: 1_920, height: 1_080 }, rate: { num: 25, den: 1 }, isHdr: false },
  audio: { index: 0 },
};

function encoding(rate: Rate, changes: Partial<Encoding> = {}): Encoding {
  return {
    source,
    rungs: ladder({ width: 1_920, height: 1_080 }, ['360p', '720p', '1080p'], rate),
    audioKbps: 128,
    segmentSeconds: 6,
    folder: '/job/out',
    threads: 3,
    limitSeconds: 420,
    canToneMap: true,
    ...changes,
  };
}
const after = (name: string, list: readonly string[]): string | undefined => list[list.indexOf(name) + 1];
const pal = { num: 25, den: 1 };

describe('transcodeCommand', () => {
  it('puts whitelists and limits before the input', () => {
    for (const { before } of [
      transcodeCommand(encoding(pal)),
      posterCommand(source, {
        atSeconds: 5,
        isKeyFrame: true,
        size: { width: 2, height: 2 },
        canToneMap: true,
        output: '/job/p.jpg',
      }),
    ]) {
      expect(after('-protocol_whitelist', before)).toBe('file');
      expect(after('-format_whitelist', before)).not.toMatch(/hls|dash|concat|sdp|image2|lavfi/);
      expect(after('-max_pixels', before)).toBe('40000000');
      expect(after('-max_streams', before)).toBe('32');
      expect(before).toContain('-codec_whitelist');
    }
    expect(after('-t', transcodeCommand(encoding(pal)).before)).toBe('21601');
  });

  it('decodes once, scales each size from the next larger one and encodes the sound once', () => {
    const { after: list } = transcodeCommand(encoding(pal));
    expect(after('-filter_complex', list)).toBe(
      '[0:1]scale=w=1920:h=1080:flags=bicubic:out_range=tv,setsar=1,format=yuv420p,split=2[v0][s0];' +
        '[s0]scale=w=1280:h=720:flags=bicubic,split=2[v1][s1];[s1]scale=w=640:h=360:flags=bicubic[v2]',
    );
    expect(after('-var_stream_map', list)).toBe(
      'v:0,agroup:a,name:1080p v:1,agroup:a,name:720p v:2,agroup:a,name:360p a:0,agroup:a,default:yes,name:audio',
    );
    expect(after('-force_key_frames:v:2', list)).toBe('expr:gte(t,n_forced*2)');
    expect(after('-map_metadata', list)).toBe('-1');
  });

  it('leaves out what is missing: sound, pictures, or renditions kept already', () => {
    const silent = transcodeCommand(encoding(pal, { audioKbps: undefined })).after;
    expect(after('-var_stream_map', silent)).toBe('v:0,name:1080p v:1,name:720p v:2,name:360p');
    expect(silent).not.toContain('-c:a');
    const sound = transcodeCommand(encoding(pal, { rungs: [] })).after;
    expect(after('-var_stream_map', sound)).toBe('a:0,name:audio');
    expect(sound).not.toContain('-filter_complex');
    const [small] = encoding(pal).rungs;
    const one = transcodeCommand(encoding(pal, { rungs: small === undefined ? [] : [small] })).after;
    expect(after('-filter_complex', one)).toBe(
      '[0:1]scale=w=640:h=360:flags=bicubic:out_range=tv,setsar=1,format=yuv420p[v0]',
    );
  });

  it('names the initialisation after its rendition, whether made alone or together', () => {
    const name = (changes: Partial<Encoding>): string | undefined =>
      after('-hls_fmp4_init_filename', transcodeCommand(encoding(pal, changes)).after);
    expect(name({})).toBe('init_%v.mp4');
    expect(name({ rungs: [] })).toBe('init_audio.mp4');
    const [small] = encoding(pal).rungs;
    expect(name({ rungs: small === undefined ? [] : [small], audioKbps: undefined })).toBe('init_360p.mp4');
  });

  it('gives small sizes half of 60 frames a second, the same frames whether made alone or together', () => {
    const together = encoding({ num: 60, den: 1 });
    expect(after('-filter_complex', transcodeCommand(together).after)).toBe(
      '[0:1]fps=60/1,scale=w=1920:h=1080:flags=bicubic:out_range=tv,setsar=1,format=yuv420p,split=2[v0][s0];' +
        '[s0]scale=w=1280:h=720:flags=bicubic,split=2[v1][s1];[s1]framestep=2,scale=w=640:h=360:flags=bicubic[v2]',
    );
    const alone = transcodeCommand({ ...together, rungs: together.rungs.slice(0, 1) }).after;
    expect(after('-filter_complex', alone)).toMatch(/^\[0:1\]fps=60\/1,framestep=2,scale=/);
    expect(after('-force_key_frames:v:0', alone)).toBe('expr:gte(n,n_forced*60)');
  });

  it('maps HDR to the ordinary range where ffmpeg can', () => {
    const video = { ...source.video, index: 0, display: { width: 2, height: 2 }, rate: pal, isHdr: true };
    const hdr = (canToneMap: boolean): string | undefined =>
      after('-filter_complex', transcodeCommand(encoding(pal, { source: { ...source, video }, canToneMap })).after);
    expect(hdr(true)).toContain('tonemap=tonemap=hable');
    expect(hdr(false)).not.toContain('tonemap');
    expect(hdr(false)).toContain('format=yuv420p');
  });
});
