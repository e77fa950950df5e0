import { describe, expect, it } from 'vitest';
import { judgeTicks, type TickPlan } from './ticks.ts';

const plan: TickPlan = {
  type: 'tick',
  missed: 'all',
  everyMs: 1_000,
  from: 10_000,
  until: 20_000,
  dark: [],
  lateAfterMs: 60_000,
};
const once = (...slots: number[]) => new Map(slots.map((slot) => [slot * 1_000, 1]));
const all = [11, 12, 13, 14, 15, 16, 17, 18, 19, 20];
const kinds = (plan: TickPlan, slots: ReadonlyMap<number, number>) =>
  judgeTicks(plan, slots).findings.map(({ kind, id }) => `${kind} ${id.slice(-5, -1)}`);

describe('ticks', () => {
  it('have one run each, those before and after the span not counted', () => {
    expect(judgeTicks(plan, once(9, ...all, 21))).toEqual({
      counts: { due: 10, ran: 10, missing: 0, double: 0 },
      findings: [],
    });
  });

  it('are found missing and doubled', () => {
    const slots = new Map([...once(...all.slice(0, -1)), [15_000, 2]]);
    expect(judgeTicks(plan, slots).findings.map(({ kind }) => kind)).toEqual(['double tick', 'missing tick']);
  });

  const dark = [{ from: 12_500, back: 16_500, to: 18_500 }];
  it.each([
    ['once', [11, 12, 13, 17, 19, 20], 0],
    ['once', [11, 12, 17, 18, 19, 20], 1],
    ['once', [11, 12, 13, 14, 17, 18, 19, 20], 1],
    ['once', [12, 13, 17, 18, 19, 20], 1],
    ['skip', [11, 12, 13, 19, 20], 0],
    ['all', [11, 12, 13, 17, 18, 19, 20], 3],
  ] as const)('missed in the dark follow the policy %s: %j gives %i findings', (missed, slots, findings) => {
    expect(kinds({ ...plan, missed, dark }, once(...slots))).toHaveLength(findings);
  });

  it('that are late do not run where they are skipped', () => {
    const late = { ...plan, missed: 'skip', dark, lateAfterMs: 2_000 } as const;
    expect(kinds(late, once(11, 12, 19, 20))).toEqual([]);
    expect(kinds(late, once(11, 12, 13, 19, 20))).toHaveLength(1);
  });
});
