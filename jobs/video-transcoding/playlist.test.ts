import { describe, expect, it } from 'vitest';
import { parseMaster } from '../../tests/support/hls.ts';
import { codecsOf, masterPlaylist, measure, readMediaPlaylist } from './playlist.ts';

const written = `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:6
#EXT-X-MAP:URI="init_1.mp4"
#EXTINF:6.031260,
seg_00000.m4s
#EXTINF:1.194309,
seg_00001.m4s
#EXT-X-ENDLIST
`;
const small = { uri: '360p-a/index.m3u8', codecs: 'avc1.4d401e', averageBps: 400_000, peakBps: 700_000 };
const sound = { uri: 'audio-b/index.m3u8', codecs: 'mp4a.40.2', averageBps: 128_000, peakBps: 130_000 };

describe('readMediaPlaylist', () => {
  it('finds the initialisation and the segments', () => {
    expect(readMediaPlaylist(written)).toEqual({
      init: 'init_1.mp4',
      segments: [
        { file: 'seg_00000.m4s', seconds: 6.03126 },
        { file: 'seg_00001.m4s', seconds: 1.194309 },
      ],
    });
  });

  it('refuses a playlist without an end', () => {
    expect(() => readMediaPlaylist(written.replace('#EXT-X-ENDLIST\n', ''))).toThrow(/unfinished/);
  });
});

describe('measure', () => {
  it('does not let a short last segment set the peak', () => {
    const segments = [
      { bytes: 600_000, seconds: 6 },
      { bytes: 900_000, seconds: 6 },
      { bytes: 50_000, seconds: 0.04 },
    ];
    const { averageBps, peakBps } = measure(segments);
    expect(averageBps).toBe(Math.ceil((8 * 1_550_000) / 12.04));
    expect(peakBps).toBe(Math.ceil((8 * 950_000) / 6.04));
  });

  it('is defined for clips shorter than a second and of no length', () => {
    expect(measure([{ bytes: 100, seconds: 0.04 }])).toEqual({ averageBps: 20_000, peakBps: 20_000 });
    expect(measure([{ bytes: 100, seconds: 0 }])).toEqual({ averageBps: 800, peakBps: 800 });
  });
});

describe('masterPlaylist', () => {
  it('adds the sound to every picture and states what was measured', () => {
    const text = masterPlaylist([{ ...small, width: 640, height: 360, framesPerSecond: 30_000 / 1_001 }], sound);
    const { variants, media } = parseMaster(text);
    expect(media).toEqual(['audio-b/index.m3u8']);
    expect(variants).toHaveLength(1);
    expect(Object.fromEntries(variants[0]?.attributes ?? [])).toEqual({
      BANDWIDTH: '830000',
      'AVERAGE-BANDWIDTH': '528000',
      CODECS: 'avc1.4d401e,mp4a.40.2',
      RESOLUTION: '640x360',
      'FRAME-RATE': '29.970',
      AUDIO: 'audio',
    });
  });

  it('has no group without sound, and one variant without pictures', () => {
    expect(masterPlaylist([{ ...small, width: 2, height: 2, framesPerSecond: 1 }], undefined)).not.toContain('AUDIO');
    const { variants, media } = parseMaster(masterPlaylist([], sound));
    expect(media).toEqual([]);
    expect(variants[0]?.uri).toBe('audio-b/index.m3u8');
    expect(variants[0]?.attributes.has('RESOLUTION')).toBe(false);
  });
});

describe('codecsOf', () => {
  it('reads profile and level from the decoder record', () => {
    const box = Buffer.concat([Buffer.from('....avcC'), Buffer.from([1, 0x64, 0x00, 0x28, 0xff])]);
    expect(codecsOf(box)).toBe('avc1.640028');
  });

  it('reads the audio type from the descriptors', () => {
    const decoder = [
      0x04,
      0x80,
      0x80,
      0x80,
      0x14,
      0x40,
      ...Array.from({ length: 12 }, () => 0),
      0x05,
      0x02,
      0x11,
      0x90,
    ];
    const box = Buffer.concat([Buffer.from('....esds\0\0\0\0'), Buffer.from([0x03, 0x19, 0, 1, 0, ...decoder])]);
    expect(codecsOf(box)).toBe('mp4a.40.2');
  });

  it('refuses bytes without either', () => {
    expect(() => codecsOf(Buffer.from('....hvcC....'))).toThrow(/without H.264 or AAC/);
  });
});
