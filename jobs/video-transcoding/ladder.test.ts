import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cadenceOf, displaySize, even, ladder, limitSeconds, segmentCount, segmentLength } from './ladder.ts';

const all = ['360p', '720p', '1080p'] as const;
const film = { num: 24, den: 1 };
const sizes = (display: string, asked: readonly (typeof all)[number][] = all): string => {
  const [width = 0, height = 0] = display.split('x').map(Number);
  return ladder({ width, height }, asked, film)
    .map((rung) => `${rung.name} ${rung.width}x${rung.height}`)
    .join(', ');
};
const side = fc.integer({ min: 1, max: 16_384 });
const asked = fc.subarray([...all], { minLength: 1 });
const rate = fc.option(
  fc.record({ num: fc.integer({ min: 1, max: 240_000 }), den: fc.constantFrom(1, 1_000, 1_001) }),
  { nil: undefined },
);

describe('ladder', () => {
  it('takes "p" from the shorter side', () => {
    expect(sizes('1920x1080')).toBe('360p 640x360, 720p 1280x720, 1080p 1920x1080');
    expect(sizes('2160x3840')).toBe('360p 360x640, 720p 720x1280, 1080p 1080x1920');
    expect(sizes('2560x1080')).toBe('360p 854x360, 720p 1706x720, 1080p 2560x1080');
  });

  it('gives a source below every asked resolution one rendition of its own size', () => {
    expect(sizes('320x240')).toBe('240p 320x240');
    expect(sizes('1280x720', ['1080p'])).toBe('720p 1280x720');
    expect(sizes('1x1')).toBe('2p 2x2');
    expect(sizes('321x241')).toBe('240p 320x240');
  });

  it('never enlarges, keeps sides even and the shape, smallest first, at least one', () => {
    fc.assert(
      fc.property(side, side, asked, rate, (width, height, resolutions, perSecond) => {
        const rungs = ladder({ width, height }, resolutions, perSecond);
        expect(rungs.length).toBeGreaterThan(0);
        for (const rung of rungs) {
          expect((rung.width % 2) + (rung.height % 2)).toBe(0);
          expect(rung.width).toBeLessThanOrEqual(Math.max(2, width));
          expect(rung.height).toBeLessThanOrEqual(Math.max(2, height));
          expect(rung.name).toBe(`${Math.min(rung.width, rung.height)}p`);
          // The longer side is the exact one to the nearest even number; the shorter is exact or the source's own.
          const shorter = Math.min(rung.width, rung.height);
          const exact = (Math.max(width, height) * shorter) / Math.min(width, height);
          const off = Math.abs(Math.max(rung.width, rung.height) - exact);
          expect(shorter < 360 || off <= exact / shorter + 1).toBe(true);
          expect(rung.averageKbps).toBeGreaterThanOrEqual(100);
          expect(rung.maxrateKbps).toBeLessThanOrEqual(2 * rung.averageKbps);
        }
        const shorterSides = rungs.map((rung) => Math.min(rung.width, rung.height));
        expect(shorterSides).toEqual([...new Set(shorterSides)].toSorted((a, b) => a - b));
      }),
      { numRuns: 2_000 },
    );
  });

  it('names its bit rates and levels as decided, and scales other sizes by area to the power 0.75', () => {
    const rungs = ladder({ width: 1_920, height: 1_080 }, all, film);
    expect(rungs.map((rung) => [rung.averageKbps, rung.maxrateKbps, rung.bufsizeKbps, rung.audioKbps])).toEqual([
      [800, 856, 1_200, 96],
      [2_800, 2_996, 4_200, 128],
      [5_000, 5_350, 7_500, 128],
    ]);
    expect(rungs.map((rung) => `${rung.profile} ${rung.level}`)).toEqual(['main 3.0', 'main 3.1', 'high 4.0']);
    expect(ladder({ width: 320, height: 240 }, all, film)[0]?.averageKbps).toBe(Math.round(800 * (1 / 3) ** 0.75));
    expect(ladder({ width: 2, height: 2 }, all, film)[0]?.averageKbps).toBe(100);
    const fast = ladder({ width: 1_920, height: 1_080 }, all, { num: 60, den: 1 });
    expect(fast.map((rung) => rung.level)).toEqual(['3.0', '3.2', '4.2']);
  });
});

describe('cadenceOf', () => {
  it('keeps the times of slow sources and makes an unknown rate a constant 30', () => {
    expect(cadenceOf({ num: 24_600, den: 1_469 }, 360)).toEqual({ kind: 'source', rate: { num: 24_600, den: 1_469 } });
    expect(cadenceOf(undefined, 1_080)).toMatchObject({ kind: 'constant', rate: { num: 30, den: 1 }, keyEvery: 60 });
  });

  it('allows at most 30 frames a second up to 480p and 60 above', () => {
    const fast = { num: 60_000, den: 1_001 };
    expect(cadenceOf(fast, 1_080)).toMatchObject({ rate: fast, step: 1, keyEvery: 120 });
    expect(cadenceOf(fast, 480)).toMatchObject({ rate: { num: 60_000, den: 2_002 }, step: 2, keyEvery: 60 });
    expect(cadenceOf({ num: 120, den: 1 }, 720)).toMatchObject({ base: { num: 120, den: 2 }, step: 1 });
  });

  it('puts the key frames of all sizes at the same times, 2 s apart', () => {
    fc.assert(
      fc.property(rate, (perSecond) => {
        const [small, large] = [cadenceOf(perSecond, 360), cadenceOf(perSecond, 1_080)];
        expect(small.rate.num / small.rate.den).toBeLessThanOrEqual(30);
        expect(large.rate.num / large.rate.den).toBeLessThanOrEqual(60);
        const grid = [small, large].map((one) =>
          one.kind === 'source' ? one : { base: one.base, frames: one.keyEvery * one.step },
        );
        expect(grid[0]).toEqual(grid[1]);
        const seconds = small.kind === 'source' ? 2 : (small.keyEvery * small.rate.den) / small.rate.num;
        expect(Math.abs(seconds - 2)).toBeLessThan(0.05);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('sizes and lengths', () => {
  it('rounds to the nearest even number and lets an odd one shrink', () => {
    expect([0.4, 1, 2, 241, 853.33, 1_706.67, 640].map(even)).toEqual([2, 2, 2, 240, 854, 1_706, 640]);
  });

  it('widens by the sample aspect and turns by quarters', () => {
    expect(displaySize({ width: 1_280, height: 1_080 }, 1.5, 0)).toEqual({ width: 1_920, height: 1_080 });
    expect(displaySize({ width: 568, height: 320 }, 1, -90)).toEqual({ width: 320, height: 568 });
    expect(displaySize({ width: 568, height: 320 }, 1, 180)).toEqual({ width: 568, height: 320 });
  });

  it('counts segments and lengthens them for very long sources only', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 21_600, noNaN: true }), fc.integer({ min: 2, max: 10 }), (seconds, each) => {
        const count = segmentCount(seconds, each);
        expect(count * each).toBeGreaterThanOrEqual(seconds - 1e-6);
        expect(count === 1 || (count - 1) * each < seconds).toBe(true);
        expect(segmentCount(seconds, segmentLength(each, seconds, 4)) * 4).toBeLessThanOrEqual(9_000);
      }),
    );
    expect([segmentLength(6, 7_200, 4), segmentLength(6, 21_600, 4), segmentLength(6, undefined, 4)]).toEqual([
      6, 10, 6,
    ]);
  });

  it('limits the run by duration, by size where there is none, and to an hour', () => {
    expect([limitSeconds(10, 1), limitSeconds(undefined, 5e6), limitSeconds(21_600, 1)]).toEqual([420, 130, 3_600]);
  });
});
