import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { JobError } from '../jobs/errors.ts';
import { type Breakers, type CallOutcome, createBreakers } from './breaker.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** One call that ends like this; the breaker hears of it through promises. */
async function call(breakers: Breakers, outcome: CallOutcome, name = 'smtp'): Promise<void> {
  breakers.enter(name).leave(outcome);
  await settled();
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

async function fail(breakers: Breakers, times: number, name = 'smtp'): Promise<void> {
  for (let n = 0; n < times; n += 1) await call(breakers, 'failed', name);
}

function refusal(breakers: Breakers, name = 'smtp'): JobError {
  try {
    breakers.enter(name).leave('unknown');
  } catch (error) {
    if (error instanceof JobError) return error;
    throw error;
  }
  throw new Error(`expected ${name} to be refused`);
}

const stateOf = (breakers: Breakers, name = 'smtp') => breakers.samples().find((one) => one.name === name)?.state;

function delayOf({ verdict }: JobError): number {
  if (verdict.kind !== 'later') throw new Error(`expected later, got ${verdict.kind}`);
  return verdict.delayMs;
}

/** With `random` 1 the first pause is 5 s exactly. */
const exact = { random: () => 1 };

describe('a circuit breaker', () => {
  test('opens at the fifth failure within 30 seconds, however many calls succeed in between', async () => {
    const changes: unknown[] = [];
    const breakers = createBreakers({ ...exact, onChange: (...change) => changes.push(change) });
    await fail(breakers, 4);
    await call(breakers, 'ok');
    expect(stateOf(breakers)).toBe(0);
    await fail(breakers, 1);
    expect(stateOf(breakers)).toBe(2);
    expect(changes).toEqual([['smtp', 2]]);
    expect(refusal(breakers)).toMatchObject({ code: 'DEPENDENCY_DOWN', verdict: { kind: 'later' }, effect: 'none' });
  });

  test('forgets failures after 30 seconds, and does not count what says nothing of the dependency', async () => {
    const breakers = createBreakers(exact);
    await fail(breakers, 4);
    vi.advanceTimersByTime(30_001);
    await fail(breakers, 4);
    for (let n = 0; n < 20; n += 1) await call(breakers, 'unknown');
    expect(stateOf(breakers)).toBe(0);
  });

  test('counts the tries of a call that was repeated below it', async () => {
    const breakers = createBreakers(exact);
    breakers.enter('smtp').leave('failed', 4);
    await settled();
    expect(stateOf(breakers)).toBe(0);
    breakers.enter('smtp').leave('failed', 4);
    await settled();
    expect(stateOf(breakers)).toBe(2);
  });

  test('is one for each dependency', async () => {
    const breakers = createBreakers(exact);
    await fail(breakers, 5);
    await call(breakers, 'ok', 'other');
    expect(breakers.samples()).toEqual([
      { name: 'smtp', state: 2 },
      { name: 'other', state: 0 },
    ]);
  });

  test('lets one call through as a probe; while it runs the others are put off', async () => {
    const breakers = createBreakers(exact);
    await fail(breakers, 5);
    vi.advanceTimersByTime(4_990);
    expect(delayOf(refusal(breakers))).toBeGreaterThan(0);
    vi.advanceTimersByTime(20);
    const probe = breakers.enter('smtp');
    expect(stateOf(breakers)).toBe(1);
    for (let n = 0; n < 10; n += 1) refusal(breakers);
    probe.leave('ok');
    await settled();
    expect(stateOf(breakers)).toBe(0);
  });

  test.each(['failed', 'unknown'] as const)('opens for longer after a probe that ended as %s', async (outcome) => {
    const breakers = createBreakers(exact);
    await fail(breakers, 5);
    const pauses = [5_000, 10_000, 20_000, 40_000, 60_000, 60_000];
    for (const pauseMs of pauses) {
      vi.advanceTimersByTime(pauseMs - 10);
      refusal(breakers);
      vi.advanceTimersByTime(20);
      await call(breakers, outcome);
      expect(stateOf(breakers)).toBe(2);
    }
  });

  test('lets calls come back as a ramp: one more at a time with every success', async () => {
    const breakers = createBreakers(exact);
    await fail(breakers, 5);
    vi.advanceTimersByTime(5_001);
    await call(breakers, 'ok');
    const widths: number[] = [];
    const refusals: unknown[] = [];
    for (let round = 0; round < 8; round += 1) {
      const passes = [];
      let refused: unknown;
      while (passes.length < 200 && refused === undefined) {
        try {
          passes.push(breakers.enter('smtp'));
        } catch (error) {
          refused = error;
          refusals.push(error);
        }
      }
      widths.push(passes.length);
      for (const pass of passes) pass.leave('ok');
      await settled();
    }
    expect(widths).toEqual([1, 2, 4, 8, 16, 32, 64, 200]);
    expect(refusals).toEqual(Array.from({ length: 7 }, () => expect.objectContaining({ code: 'DEPENDENCY_DOWN' })));
  });

  test('gives jobs that are put off places 20 ms apart, over at most a minute', async () => {
    const breakers = createBreakers(exact);
    await fail(breakers, 5);
    const delays = Array.from({ length: 6_000 }, () => delayOf(refusal(breakers)));
    expect(delays.slice(0, 3)).toEqual([5_040, 5_060, 5_080]);
    expect(Math.max(...delays)).toBeLessThanOrEqual(65_020);
    expect(new Set(delays.slice(0, 2_900)).size).toBe(2_900);
  });

  test('that was closed for long is forgotten, an open one never', async () => {
    const breakers = createBreakers(exact);
    for (let n = 0; n < 2_000; n += 1) await call(breakers, 'failed', `once-${n}`);
    vi.advanceTimersByTime(31_000);
    await fail(breakers, 5, 'broken');
    for (let n = 0; n < 3_000; n += 1) await call(breakers, 'ok', `receiver-${n}`);
    expect(breakers.samples()).toHaveLength(100);
    expect(breakers.samples()[0]).toEqual({ name: 'broken', state: 2 });
    refusal(breakers, 'broken');
  });

  test('counts what ends late only once', async () => {
    const breakers = createBreakers(exact);
    const passes = Array.from({ length: 4 }, () => breakers.enter('smtp'));
    for (const pass of passes) for (let n = 0; n < 5; n += 1) pass.leave('failed');
    await settled();
    expect(stateOf(breakers)).toBe(0);
  });
});
