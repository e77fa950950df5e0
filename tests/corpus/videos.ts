/** Videos that nobody should send, and what must become of each: made by ffmpeg's own test sources, seeded, nothing taken from anywhere. */
import * as fc from 'fast-check';

type Ending = 'BAD_SOURCE' | 'FORBIDDEN_TARGET' | 'LIMIT_EXCEEDED' | 'PAYLOAD_INVALID' | 'done';

/** Makes `<name>` from `lavfi` sources with these options, and answers its bytes. Made once, however often it is asked for. */
export type Make = (name: string, sources: readonly string[], options: string) => Promise<Buffer>;

interface VideoCase {
  readonly name: string;
  /** What the job must end as; several where a random change or a build of ffmpeg decides. */
  readonly ends: readonly Ending[];
  readonly bytes: (make: Make) => Buffer | Promise<Buffer>;
  readonly payload?: object;
  /** `<kind> <width>x<height>` of the largest rendition, where it must be made. */
  readonly shape?: string;
}

const seed = 20_261_121;
const bad = ['BAD_SOURCE'] as const;
const tooMuch = ['LIMIT_EXCEEDED'] as const;
const fine = ['done'] as const;
const forbidden = ['FORBIDDEN_TARGET'] as const;
const closed = ['FORBIDDEN_TARGET', 'BAD_SOURCE'] as const;
const any = ['done', 'BAD_SOURCE', 'LIMIT_EXCEEDED'] as const;

const picture = 'testsrc2=size=64x48:rate=5:duration=1';
const sound = 'sine=frequency=440:duration=1';
const h264 = '-c:v libx264 -preset ultrafast -pix_fmt yuv420p';
const both = `${h264} -c:a aac`;

const made = (name: string, ends: readonly Ending[], bytes: VideoCase['bytes'], shape?: string): VideoCase => ({
  name,
  ends,
  bytes,
  ...(shape === undefined ? {} : { shape }),
});
const text = (name: string, ends: readonly Ending[], content: string): VideoCase =>
  made(name, ends, () => Buffer.from(content, 'latin1'));
const clip =
  (name: string, sources: readonly string[], options: string): VideoCase['bytes'] =>
  (make) =>
    make(name, sources, options);

/** One second in every container that is read. */
const containers: Readonly<Record<string, VideoCase['bytes']>> = {
  'one.mp4': clip('one.mp4', [picture, sound], both),
  'one.mkv': clip('one.mkv', [picture, sound], both),
  'one.webm': clip('one.webm', [picture], '-c:v libvpx -deadline realtime -cpu-used 8'),
  'one.avi': clip('one.avi', [picture, sound], '-c:v mpeg4 -c:a mp3'),
  'one.ts': clip('one.ts', [picture, sound], both),
  'one.mp3': clip('one.mp3', [sound], ''),
};

const random = (bytes: number): Buffer =>
  Buffer.from(fc.sample(fc.uint8Array({ minLength: bytes, maxLength: bytes }), { seed, numRuns: 1 })[0] ?? []);

const noMedia: readonly VideoCase[] = [
  text('nothing', bad, ''),
  text('one byte', bad, 'x'),
  text('text', bad, 'lorem ipsum '.repeat(1_000)),
  text('a web page', bad, '<!DOCTYPE html><html><body><video src="x.mp4"></video></body></html>'),
  text('JSON', bad, '{"streams": []}'),
  text('a PDF', bad, '%PDF-1.7\n1 0 obj<<>>endobj'),
  text('an archive', bad, 'PK\x03\x04\x14\0\0\0'),
  text('a program', bad, '\x7fELF\x02\x01\x01\0'),
  text('subtitles', bad, '1\n00:00:00,000 --> 00:00:01,000\nHello\n'),
  text('a Flash film', bad, 'FWS\x09\0\0\0\0'),
  text('a drawing', bad, '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
  made('a PNG', bad, clip('still.png', ['color=red:size=64x48:duration=0.1'], '-frames:v 1')),
  made('a JPEG', bad, clip('still.jpg', ['color=red:size=64x48:duration=0.1'], '-frames:v 1')),
  made('a GIF', bad, clip('moving.gif', [picture], '')),
  ...[100, 10_000, 100_000].map((bytes) => made(`${bytes} random bytes`, bad, () => random(bytes))),
  made('zeroes', bad, () => Buffer.alloc(100_000)),
  text('only the start of an MP4', bad, '\0\0\0\x18ftypisom\0\0\x02\0isomiso2'),
  text('an MP4 whose first box is everything', bad, '\0\0\0\0ftypisom\0\0\x02\0isomiso2'),
  text('an MP4 of a box of four gigabytes', bad, '\0\0\0\x18ftypisom\0\0\x02\0isomiso2\xff\xff\xff\xffmoov'),
  text('only the start of a Matroska', bad, '\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01'),
  text('only the start of an AVI', bad, 'RIFF\xff\xff\xff\xffAVI LIST'),
  text('only the start of an Ogg', bad, 'OggS\0\x02\0\0\0\0\0\0\0\0'),
  text('only the start of a FLAC', bad, 'fLaC\0\0\0\x22'),
  text('only the start of a WAV', bad, 'RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0'),
];

const cutOff = Object.entries(containers).flatMap(([name, whole]) =>
  [10, 50, 90].map((percent) =>
    made(`${name} cut off at ${percent} %`, name === 'one.mp4' ? bad : any, async (make) => {
      const bytes = await whole(make);
      return bytes.subarray(0, Math.floor((bytes.length * percent) / 100));
    }),
  ),
);

const flipped = fc
  .sample(
    fc.array(fc.tuple(fc.double({ min: 0, max: 0.999, noNaN: true }), fc.nat(7)), { minLength: 5, maxLength: 60 }),
    {
      seed,
      numRuns: 30,
    },
  )
  .map((flips, n) =>
    made(`an MP4 with flipped bits, ${n + 1}`, any, async (make) => {
      const bytes = Buffer.from(await make('one.mp4', [picture, sound], both));
      // Its index: what it says of the frames matters more than the frames.
      const from = bytes.indexOf('moov');
      for (const [share, bit] of flips) {
        const at = from + Math.floor(share * (bytes.length - from));
        bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << bit), at);
      }
      return bytes;
    }),
  );

const secret = 'file:///etc/passwd';
const inside = 'http://127.0.0.1:1/x.ts';
const hls = (target: string): string => `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n${target}\n#EXT-X-ENDLIST\n`;
const playlists: readonly VideoCase[] = [
  text('HLS of an address', forbidden, hls(inside)),
  text('HLS of a file', forbidden, hls(secret)),
  text('HLS of a list', forbidden, hls(`concat:/etc/passwd|${inside}`)),
  text('HLS of a part of a file', forbidden, hls('subfile,,start,0,end,9,,:/etc/passwd')),
  text('HLS of other HLS', forbidden, hls('http://169.254.169.254/x.m3u8')),
  text('HLS with a key elsewhere', forbidden, `#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="${inside}"\n#EXTINF:1,\nx.ts\n`),
  text('HLS behind a mark', forbidden, `\xef\xbb\xbf${hls(inside)}`),
  text('HLS behind blank lines', forbidden, `\n\n  ${hls(inside)}`),
  text('HLS in small letters', closed, hls(inside).toLowerCase()),
  text('HLS behind 600 blanks', closed, `${' '.repeat(600)}${hls(inside)}`),
  text('HLS behind a comment', closed, `# hello\n${hls(inside)}`),
  text(
    'DASH',
    forbidden,
    `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>${inside}</BaseURL></MPD>`,
  ),
  text(
    'DASH without a declaration',
    forbidden,
    `<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>${inside}</BaseURL></MPD>`,
  ),
  text('Smooth Streaming', closed, '<SmoothStreamingMedia MajorVersion="2"></SmoothStreamingMedia>'),
  text('SDP', forbidden, 'v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n'),
  text('ffconcat', forbidden, "ffconcat version 1.0\nfile '/etc/passwd'\n"),
  text('ffconcat of an address', forbidden, `ffconcat version 1.0\nfile '${inside}'\n`),
  text('concat without its first line', closed, "file '/etc/passwd'\n"),
  text('a concat address', forbidden, 'concat:/etc/passwd|/etc/hosts'),
  text('a subfile address', forbidden, 'subfile,,start,0,end,9,,:/etc/passwd'),
  text('a data address', forbidden, 'data:video/mp4;base64,AAAA'),
  text('an address', forbidden, inside),
  text('a file address', forbidden, secret),
  text('a Winamp list', forbidden, `[playlist]\nFile1=${inside}\nNumberOfEntries=1\n`),
  text('a Windows list', closed, `<asx version="3.0"><entry><ref href="${inside}"/></entry></asx>`),
  text('an RTSP list', closed, `[Reference]\nRef1=${inside}\n`),
  text('a list of pictures', closed, 'image%03d.png'),
  text('a filter graph', closed, 'movie=/etc/passwd'),
];

const odd: readonly VideoCase[] = [
  made('picture alone', fine, clip('mute.mp4', [picture], h264), 'video 64x48'),
  made('sound alone', fine, clip('sound.m4a', [sound], '-c:a aac'), 'audio 0x0'),
  made('sound in WAV', fine, clip('sound.wav', [sound], ''), 'audio 0x0'),
  made('sound in FLAC', fine, clip('sound.flac', [sound], ''), 'audio 0x0'),
  made('sides that are odd', fine, clip('odd.mkv', ['testsrc2=size=63x47:rate=5:duration=1'], '-c:v ffv1')),
  made('one frame', any, clip('frame.mp4', [picture], `${h264} -frames:v 1`)),
  made('sixteen pixels a side', any, clip('tiny.mp4', ['testsrc2=size=16x16:rate=5:duration=1'], h264)),
  made('pixels that are no squares', fine, clip('sar.mp4', [picture], `${h264} -vf setsar=2/1`), 'video 128x48'),
  made('ten bits', fine, clip('ten.mkv', [picture], '-c:v ffv1 -pix_fmt yuv420p10le'), 'video 64x48'),
  made(
    'frames at uneven times',
    fine,
    clip('vfr.mkv', [picture], `${h264} -vf select=not(mod(n\\,2))+eq(n\\,1) -fps_mode vfr`),
    'video 64x48',
  ),
  made('the index in front', fine, clip('fast.mp4', [picture, sound], `${both} -movflags +faststart`), 'video 64x48'),
  made('in fragments', any, clip('fragments.mp4', [picture, sound], `${both} -movflags +frag_keyframe+empty_moov`)),
  made(
    'three languages',
    fine,
    clip('three.mkv', [picture, sound, sound, sound], `${both} -map 0 -map 1 -map 2 -map 3`),
    'video 64x48',
  ),
  made(
    '33 sounds',
    tooMuch,
    clip('many.mkv', [picture, sound], `${h264} -c:a pcm_s16le -map 0 ${'-map 1 '.repeat(33)}`),
  ),
  made(
    '65 sounds',
    tooMuch,
    clip('more.mkv', [picture, sound], `${h264} -c:a pcm_s16le -map 0 ${'-map 1 '.repeat(65)}`),
  ),
  made(
    '48 megapixels',
    tooMuch,
    clip(
      'large.mkv',
      ['color=red:size=8000x6000:rate=1:duration=1'],
      '-c:v mjpeg -pix_fmt yuvj420p -q:v 31 -frames:v 1',
    ),
  ),
  made('a codec that nobody asked for', bad, clip('codec.mkv', [picture], '-c:v snow -strict -2')),
  made(
    '100,000 s between two frames',
    tooMuch,
    clip('gap.mkv', [picture], `${h264} -frames:v 2 -vf setpts=N*100000/TB -fps_mode passthrough`),
  ),
  made(
    'a script behind it',
    fine,
    async (make) =>
      Buffer.concat([await make('one.mp4', [picture, sound], both), Buffer.from('<script>alert(1)</script>')]),
    'video 64x48',
  ),
  made('another video behind it', any, async (make) =>
    Buffer.concat([await make('one.mp4', [picture, sound], both), await make('one.mp4', [picture, sound], both)]),
  ),
  made('a hundred hours that it says and does not have', tooMuch, async (make) => {
    const bytes = Buffer.from(await make('one.mp4', [picture], h264));
    const at = bytes.indexOf('mvhd') + 4;
    bytes.writeUInt32BE(bytes.readUInt32BE(at + 12) * 360_000, at + 16);
    return bytes;
  }),
  made('ten seconds that it says and does not have', [...any], async (make) => {
    const bytes = Buffer.from(await make('one.mp4', [picture], h264));
    const at = bytes.indexOf('mvhd') + 4;
    bytes.writeUInt32BE(bytes.readUInt32BE(at + 12) * 10, at + 16);
    return bytes;
  }),
];

const one = containers['one.mp4'] ?? (() => Buffer.of());
const asked = (name: string, payload: object): VideoCase => ({ name, ends: ['PAYLOAD_INVALID'], bytes: one, payload });
const payloads: readonly VideoCase[] = [
  ...[0, 1, 11, 2.5, -6, 1e9, '6', null].map((seconds) =>
    asked(`segments of ${JSON.stringify(seconds)} s`, { segmentSeconds: seconds }),
  ),
  ...[[], ['4k'], ['360p', '720p', '1080p', '360p'], '720p', [360]].map((resolutions) =>
    asked(`resolutions ${JSON.stringify(resolutions)}`, { resolutions }),
  ),
  asked('nobody', { user_id: '' }),
  asked('a long name', { user_id: 'u'.repeat(129) }),
  asked('another field', { preset: 'placebo' }),
  ...['file:///etc/passwd', '/etc/passwd', 'http://e.example/a.mp4', 'concat:a|b', ''].map((source) =>
    asked(`a source of "${source}"`, { video_url: source }),
  ),
  ...[
    'object:t/other/a.mp4',
    'object:t/-/../other/a.mp4',
    'https://127.0.0.1/a.mp4',
    'https://169.254.169.254/',
    'https://[::1]/a.mp4',
    's3://somebody/a.mp4',
  ].map(
    (source): VideoCase => ({
      name: `the source ${source}`,
      ends: forbidden,
      bytes: one,
      payload: { video_url: source },
    }),
  ),
  { name: 'a source that is not there', ends: bad, bytes: one, payload: { video_url: 'object:t/-/none.mp4' } },
];

export const videoCases: readonly VideoCase[] = [...noMedia, ...cutOff, ...flipped, ...playlists, ...odd, ...payloads];
