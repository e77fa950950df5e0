import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { giveUp, retry, tryAgainIn } from '../jobs/errors.ts';
import { defaultPolicy } from '../jobs/policy.ts';
import { decide } from './decide.ts';

const limits = fc
  .record({
    attempts: fc.integer({ min: 1, max: 100 }),
    baseMs: fc.integer({ min: 1, max: 86_400_000 }),
    more: fc.integer({ min: 0, max: 86_400_000 }),
  })
  .map(({ attempts, baseMs, more }) => ({
    attempts,
    backoff: { baseMs, maxMs: Math.min(86_400_000, baseMs + more) },
  }));
const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const highest = () => 1 - Number.EPSILON;

function delayOf(
  attempt: number,
  of: Parameters<typeof decide>[2],
  random: () => number,
  error: unknown = new Error('x'),
) {
  const outcome = decide(error, attempt, of, random);
  return outcome.state === 'retry' ? outcome.delayMs : undefined;
}

/** Undefined when the property holds; else seed, path and the shrunk counter-example. */
function broken<T>(property: fc.IProperty<T>, numRuns: number): string | undefined {
  const details = fc.check(property, { numRuns });
  return details.failed ? fc.defaultReportMessage(details) : undefined;
}

describe('decide', () => {
  it('waits longer at most with every attempt, up to the cap', () => {
    const property = fc.property(limits, fc.integer({ min: 1, max: 98 }), (of, attempt) => {
      const ceiling = delayOf(attempt, of, highest);
      const next = delayOf(attempt + 1, of, highest);
      if (next === undefined) return attempt + 1 >= of.attempts;
      return ceiling !== undefined && next >= ceiling && next <= of.backoff.maxMs;
    });
    expect(broken(property, 5_000)).toBeUndefined();
  });

  it('draws a whole number of milliseconds between 0 and the ceiling, never negative or NaN', () => {
    const property = fc.property(limits, fc.integer({ min: 1, max: 99 }), share, (of, attempt, random) => {
      const delay = delayOf(attempt, of, () => random);
      if (attempt >= of.attempts) return delay === undefined;
      const ceiling = Math.min(of.backoff.maxMs, of.backoff.baseMs * 2 ** (attempt - 1));
      return delay !== undefined && Number.isSafeInteger(delay) && delay >= 0 && delay <= ceiling;
    });
    expect(broken(property, 5_000)).toBeUndefined();
  });

  it('waits in all no longer than the documented maximum', () => {
    const property = fc.property(limits, share, (of, random) => {
      let sum = 0;
      let most = 0;
      for (let attempt = 1; attempt < of.attempts; attempt += 1) {
        sum += delayOf(attempt, of, () => random) ?? Number.NaN;
        most += Math.min(of.backoff.maxMs, of.backoff.baseMs * 2 ** (attempt - 1));
      }
      return sum >= 0 && sum <= most && most <= (of.attempts - 1) * of.backoff.maxMs;
    });
    expect(broken(property, 5_000)).toBeUndefined();
    // The default policy: 1 + 2 + 4 s at most.
    const waits = [1, 2, 3, 4].map((attempt) => delayOf(attempt, defaultPolicy, highest));
    expect(waits).toEqual([1_000, 2_000, 4_000, undefined]);
  });

  it('never waits less than the floor of the error', () => {
    const property = fc.property(limits, share, fc.integer({ min: 0, max: 10_000_000 }), (of, random, floor) => {
      const delay = delayOf(1, of, () => random, retry('HTTP_503', 'busy', floor));
      return of.attempts === 1 ? delay === undefined : delay !== undefined && delay >= floor;
    });
    expect(broken(property, 2_000)).toBeUndefined();
  });

  it('is dead at once for giveUp, whatever attempts are left, and at the last attempt', () => {
    const property = fc.property(limits, fc.integer({ min: 1, max: 200 }), (of, attempt) => {
      const isDead = decide(giveUp('BAD_SOURCE', 'x'), attempt, of).state === 'dead';
      return isDead && (decide(new Error('x'), attempt, of).state === 'dead') === attempt >= of.attempts;
    });
    expect(broken(property, 2_000)).toBeUndefined();
  });

  it('spends no attempt for later, even on the last one', () => {
    const ms = fc.double({ noNaN: true, min: -1e6, max: 1e9 });
    const property = fc.property(limits, fc.integer({ min: 1, max: 200 }), ms, (of, attempt, delayMs) => {
      const outcome = decide(tryAgainIn(delayMs, 'HTTP_429', 'x'), attempt, of);
      return outcome.state === 'later' && outcome.delayMs === Math.max(0, Math.round(delayMs));
    });
    expect(broken(property, 2_000)).toBeUndefined();
  });

  it('is done without an error', () => {
    expect(decide(undefined, 1, defaultPolicy)).toEqual({ state: 'done' });
  });
});
