/**
 * Which renditions for which source: sizes, bit rates, frame rates, H.264 levels. Pure. "p" is the shorter side of the
 * picture as it is displayed (turned, with square pixels); nothing is ever enlarged.
 */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Frames per second as an exact fraction, so that 30000/1001 stays what it is. */
export interface Rate {
  readonly num: number;
  readonly den: number;
}

/**
 * `source`: frames keep the source's own times. `constant`: every `step`-th frame of a constant `base` rate, with a key
 * frame every `keyEvery` frames; steps divide each other, so that renditions of 30 and 60 frames share their key-frame times.
 */
export type Cadence =
  | { readonly kind: 'source'; readonly rate: Rate }
  | {
      readonly kind: 'constant';
      readonly base: Rate;
      readonly step: number;
      readonly rate: Rate;
      readonly keyEvery: number;
    };

export interface Rung extends Size {
  /** `360p`; the shorter side and a p. */
  readonly name: string;
  readonly averageKbps: number;
  readonly maxrateKbps: number;
  readonly bufsizeKbps: number;
  readonly audioKbps: number;
  readonly profile: 'main' | 'high';
  readonly level: string;
  readonly cadence: Cadence;
}

type Resolution = '360p' | '720p' | '1080p';
type Row = Pick<Rung, 'averageKbps' | 'maxrateKbps' | 'bufsizeKbps' | 'audioKbps' | 'profile'> & {
  readonly level: string;
};

const rows: Readonly<Record<Resolution, Row>> = {
  '360p': {
    averageKbps: 800,
    maxrateKbps: 856,
    bufsizeKbps: 1_200,
    audioKbps: 96,
    profile: 'main',
    level: '3.0',
  },
  '720p': {
    averageKbps: 2_800,
    maxrateKbps: 2_996,
    bufsizeKbps: 4_200,
    audioKbps: 128,
    profile: 'main',
    level: '3.1',
  },
  '1080p': {
    averageKbps: 5_000,
    maxrateKbps: 5_350,
    bufsizeKbps: 7_500,
    audioKbps: 128,
    profile: 'high',
    level: '4.0',
  },
};

const shorterSides: readonly [Resolution, number][] = [
  ['360p', 360],
  ['720p', 720],
  ['1080p', 1_080],
];

// H.264 Annex A: macroblocks a second and a frame. A level must also hold sides of at most √(8 × frame) macroblocks.
const levels: readonly [string, number, number][] = [
  ['3.0', 40_500, 1_620],
  ['3.1', 108_000, 3_600],
  ['3.2', 216_000, 5_120],
  ['4.0', 245_760, 8_192],
  ['4.2', 522_240, 8_704],
  ['5.0', 589_824, 22_080],
  ['5.1', 983_040, 36_864],
  ['6.0', 4_177_920, 139_264],
];

const smallSide = 480;
const smallFps = 30;
const largeFps = 60;
const keySeconds = 2;

/** The nearest even number, at least 2; an odd whole number goes down, so that nothing grows. */
export function even(length: number): number {
  return Math.max(2, 2 * Math.ceil(length / 2 - 0.5));
}

/** The picture as a viewer sees it: stored size, widened by the sample aspect ratio, then turned by `rotation` degrees. */
export function displaySize(stored: Size, sampleAspect: number, rotation: number): Size {
  const width = Math.max(1, Math.round(stored.width * sampleAspect));
  const quarterTurns = Math.round(rotation / 90) % 2;
  return quarterTurns === 0 ? { width, height: stored.height } : { width: stored.height, height: width };
}

/** How frames are timed in a rendition whose shorter side is `side`. An unknown rate becomes a constant 30. */
export function cadenceOf(rate: Rate | undefined, side: number): Cadence {
  if (rate !== undefined && rate.num / rate.den <= smallFps) return { kind: 'source', rate };
  const base = rate === undefined ? { num: smallFps, den: 1 } : capped(rate);
  const perSecond = base.num / base.den;
  const smallStep = Math.ceil(perSecond / smallFps);
  // The grid of key frames is that of the small renditions, whichever are asked for: a later run must fit an earlier one.
  const keyGrid = Math.max(1, Math.round((keySeconds * perSecond) / smallStep)) * smallStep;
  const step = side <= smallSide ? smallStep : 1;
  return {
    kind: 'constant',
    base,
    step,
    rate: { num: base.num, den: base.den * step },
    keyEvery: keyGrid / step,
  };
}

/** At most 60 a second, by dropping whole frames. Rates within 2 % above 30 or 60 are those, with jitter. */
function capped(rate: Rate): Rate {
  const perSecond = rate.num / rate.den;
  for (const cap of [smallFps, largeFps]) if (perSecond > cap && perSecond <= cap * 1.02) return { num: cap, den: 1 };
  return { num: rate.num, den: rate.den * Math.ceil(perSecond / largeFps) };
}

function levelOf(size: Size, rate: Rate, atLeast: string): string {
  const across = Math.ceil(size.width / 16);
  const down = Math.ceil(size.height / 16);
  const first = levels.findIndex(([name]) => name === atLeast);
  const fits = levels
    .slice(first)
    .find(
      ([, perSecond, perFrame]) =>
        across * down <= perFrame &&
        (across * down * rate.num) / rate.den <= perSecond &&
        Math.max(across, down) <= Math.sqrt(8 * perFrame),
    );
  return fits?.[0] ?? '6.0';
}

/** The 360p row scaled by picture area to the power 0.75, at least 100 kb/s: for sizes that have no row of their own. */
function rowFor(size: Size): Row {
  const base = rows['360p'];
  const factor = ((size.width * size.height) / 230_400) ** 0.75;
  const averageKbps = Math.max(100, Math.round(base.averageKbps * factor));
  return {
    ...base,
    averageKbps,
    maxrateKbps: Math.round(averageKbps * 1.07),
    bufsizeKbps: Math.round(averageKbps * 1.5),
  };
}

function rung(name: string, size: Size, row: Row, rate: Rate | undefined): Rung {
  const cadence = cadenceOf(rate, Math.min(size.width, size.height));
  return { name, ...size, ...row, level: levelOf(size, cadence.rate, row.level), cadence };
}

/**
 * Smallest first, never empty: the asked resolutions that the displayed picture has, or its own size when it has none
 * of them. `rate` is the source's frame rate, undefined when it is not known.
 */
export function ladder(display: Size, asked: readonly Resolution[], rate: Rate | undefined): readonly Rung[] {
  const shorter = Math.min(display.width, display.height);
  const rungs = shorterSides
    .filter(([name, side]) => asked.includes(name) && side <= shorter)
    .map(([name, side]) => {
      const longer = even((Math.max(display.width, display.height) * side) / shorter);
      const size = display.width >= display.height ? { width: longer, height: side } : { width: side, height: longer };
      return rung(name, size, rows[name], rate);
    });
  if (rungs.length > 0) return rungs;
  const size = { width: even(display.width), height: even(display.height) };
  const name = `${Math.min(size.width, size.height)}p`;
  // A resolution that was not asked for can be the source's own size: then its row applies.
  const row = shorterSides.find(([known]) => known === name)?.[0];
  return [rung(name, size, row === undefined ? rowFor(size) : rows[row], rate)];
}

/** How many segments a duration gives; a clip of no length is one. */
export function segmentCount(durationSeconds: number, segmentSeconds: number): number {
  return Math.max(1, Math.ceil(durationSeconds / segmentSeconds - 1e-9));
}

/**
 * The asked length, or as much more (up to 10 s) as keeps all segments of the job under 9,000: a job may make 10,000
 * calls, one for each stored file. An unknown duration keeps the asked length.
 */
export function segmentLength(asked: number, durationSeconds: number | undefined, tracks: number): number {
  let seconds = asked;
  while (seconds < 10 && segmentCount(durationSeconds ?? 0, seconds) * tracks > 9_000) seconds += 1;
  return seconds;
}

/** Wall-clock limit of the ffmpeg run: min(3600, 120 + 30 × duration) s; without a duration 120 s and 2 s per MB. */
export function limitSeconds(durationSeconds: number | undefined, sizeBytes: number): number {
  return Math.min(
    3_600,
    Math.ceil(120 + (durationSeconds === undefined ? (2 * sizeBytes) / 1e6 : 30 * durationSeconds)),
  );
}
