import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { desiredReplicas, type Load } from './scaling.ts';

const load = (more: Partial<Load>): Load => ({
  backlog: 0,
  active: 0,
  endedPerS: 0,
  meanS: 2,
  concurrency: 10,
  most: undefined,
  targetAgeS: 60,
  ...more,
});
const bounds = { min: 0, max: 100 };

describe('the replicas a queue wants', () => {
  it.each<[string, Partial<Load>, number]>([
    ['nothing to do', {}, 0],
    ['10 jobs a second of 2 s each', { endedPerS: 10 }, 2],
    ['a backlog of 3,000 jobs of 2 s, to be gone in 60 s', { backlog: 3_000 }, 10],
    ['both', { endedPerS: 10, backlog: 3_000 }, 12],
    ['a first job, of unknown length', { backlog: 1, meanS: undefined }, 1],
    ['many of them: one process finds out', { backlog: 5_000, meanS: undefined }, 1],
    ['long attempts of which none has ended', { active: 35, meanS: undefined }, 4],
    ['running attempts, and a little beside them', { active: 21, endedPerS: 1 }, 3],
    ['more than the queue may run at once', { backlog: 100_000, most: 25 }, 3],
    ['more than allowed', { backlog: 1_000_000 }, 100],
    ['the target of a patient type', { backlog: 3_000, targetAgeS: 600 }, 1],
  ])('%s', (_title, more, expected) => {
    expect(desiredReplicas(load(more), bounds)).toBe(expected);
  });

  const loads = fc.record({
    backlog: fc.nat(10_000_000),
    active: fc.nat(10_000),
    endedPerS: fc.double({ min: 0, max: 1e5, noNaN: true }),
    meanS: fc.option(fc.double({ min: 0, max: 86_400, noNaN: true }), { nil: undefined }),
    concurrency: fc.integer({ min: 1, max: 10_000 }),
    most: fc.option(fc.integer({ min: 1, max: 100_000 }), { nil: undefined }),
    targetAgeS: fc.integer({ min: 1, max: 604_800 }),
  });
  const limits = fc.tuple(fc.nat(50), fc.nat(1_000)).map(([min, more]) => ({ min, max: min + more }));

  it('are a whole number within the bounds', () => {
    fc.assert(
      fc.property(loads, limits, (given, { min, max }) => {
        const desired = desiredReplicas(given, { min, max });
        expect(Number.isInteger(desired) && desired >= min && desired <= max).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  it('never fall when the backlog, the arrivals or the running attempts grow', () => {
    const more = fc.record({ backlog: fc.nat(100_000), active: fc.nat(100), endedPerS: fc.nat(1_000) });
    fc.assert(
      fc.property(loads, limits, more, (given, bound, { backlog, active, endedPerS }) => {
        const grown = {
          ...given,
          backlog: given.backlog + backlog,
          active: given.active + active,
          endedPerS: given.endedPerS + endedPerS,
        };
        expect(desiredReplicas(grown, bound)).toBeGreaterThanOrEqual(desiredReplicas(given, bound));
      }),
      { numRuns: 1_000 },
    );
  });

  it('work a backlog off within the target age, with one process to spare at most', () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.double({ min: 0.01, max: 60, noNaN: true }), (backlog, meanS) => {
        const desired = desiredReplicas(load({ backlog, meanS }), { min: 0, max: 1_000_000 });
        const secondsWith = (replicas: number) => (backlog * meanS) / (replicas * 10);
        expect(desired === 0 ? backlog : secondsWith(desired)).toBeLessThanOrEqual(60.001);
        expect(desired > 1 ? secondsWith(desired - 1) : 60).toBeGreaterThan(59.999);
      }),
      { numRuns: 500 },
    );
  });
});
