/** The store's clock, carried on by a clock that nobody can set. */
import { describe, expect, it, vi } from 'vitest';
import { watchClock } from './clock.ts';

/** A machine whose clock can be set and that can sleep, and a store whose clock is right. */
function machine(offMs = 0) {
  let steady = 1_000;
  let wall = 1_700_000_000_000;
  let store = wall + offMs;
  let isDown = false;
  const seen = { changes: [] as (string | undefined)[], asked: 0 };
  return {
    seen,
    pass: (ms: number) => {
      steady += ms;
      wall += ms;
      store += ms;
    },
    /** What a person, or NTP, does. */
    set: (ms: number) => {
      wall += ms;
    },
    sleep: (ms: number) => {
      wall += ms;
      store += ms;
    },
    cut: (next: boolean) => {
      isDown = next;
    },
    wall: () => wall,
    watch: () =>
      watchClock({
        storeNow: async () => {
          seen.asked += 1;
          if (isDown) throw new Error('down');
          return store;
        },
        onChange: (problem) => seen.changes.push(problem),
        wall: () => wall,
        steady: () => steady,
        everyMs: 20,
        lookMs: 2,
      }),
  };
}

describe('the clock of a machine', () => {
  it.each([
    ['right', 1_900, undefined],
    ['ahead', -2_500, /^The clock of this machine is 2500 ms ahead of the store's, at most 2000 are allowed/],
    ['behind', 2_500, /2500 ms behind the store's/],
  ])('that is %s at the start', async (_what, offMs, problem) => {
    const { seen, watch } = machine(offMs);
    const clock = await watch();
    clock.stop();
    expect(clock.problem() ?? '').toMatch(problem ?? /^$/);
    expect(clock.isRight()).toBe(problem === undefined);
    expect(clock.offMs()).toBe(offMs);
    expect(seen.changes).toHaveLength(problem === undefined ? 0 : 1);
  });

  it.each([65 * 60_000, -65 * 60_000])('that is set by %i ms is wrong at once, before anything looked', async (ms) => {
    const one = machine();
    const clock = await one.watch();
    one.pass(500);
    expect(clock.isRight()).toBe(true);
    one.set(ms);
    expect(clock.isRight()).toBe(false);
    expect(clock.offMs()).toBe(-ms);
    expect(clock.now()).toBe(one.wall() - ms);
    await vi.waitFor(() => expect(one.seen.changes).toHaveLength(1), 15_000);
    one.set(-ms);
    expect(clock.isRight()).toBe(true);
    await vi.waitFor(() => expect(clock.problem()).toBeUndefined(), 15_000);
    clock.stop();
    expect(one.seen.changes.map((problem) => problem !== undefined)).toEqual([true, false]);
  });

  it('that went on while the machine slept is right as soon as the store has said so', async () => {
    const one = machine();
    const clock = await one.watch();
    one.sleep(3_600_000);
    expect(clock.isRight()).toBe(false);
    await vi.waitFor(() => expect(clock.isRight()).toBe(true), 15_000);
    expect(clock.problem()).toBeUndefined();
    clock.stop();
  });

  it('is judged by what is known while the store does not answer', async () => {
    const one = machine(60_000);
    const clock = await one.watch();
    expect(clock.problem()).toBeDefined();
    one.cut(true);
    const { asked } = one.seen;
    await vi.waitFor(() => expect(one.seen.asked).toBeGreaterThan(asked + 1), 15_000);
    expect(clock.problem()).toBeDefined();
    one.set(60_000);
    await vi.waitFor(() => expect(clock.problem()).toBeUndefined(), 15_000);
    clock.stop();
  });

  it('is taken for right where the store never answered', async () => {
    const one = machine(60_000);
    one.cut(true);
    const clock = await one.watch();
    clock.stop();
    expect([clock.isKnown(), clock.isRight(), clock.offMs()]).toEqual([false, true, 0]);
  });
});
