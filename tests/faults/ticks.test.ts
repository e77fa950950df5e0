import { describe, expect, it } from 'vitest';
import { judgeTicks, type Slots, type TickPlan } from './ticks.ts';

const plan: TickPlan = {
  type: 'tick',
  missed: 'all',
  everyMs: 1_000,
  from: 10_000,
  until: 20_000,
  lateAfterMs: 60_000,
};
/** On time, those made up for excepted: they ran at 17 s. */
const ran = (onTime: readonly number[], madeUp: readonly number[] = []): Slots =>
  new Map([
    ...onTime.map((slot) => [slot * 1_000, { runs: 1, at: slot * 1_000 + 50 }] as const),
    ...madeUp.map((slot) => [slot * 1_000, { runs: 1, at: 17_000 }] as const),
  ]);
const all = [11, 12, 13, 14, 15, 16, 17, 18, 19, 20];
const kinds = (some: TickPlan, slots: Slots) => judgeTicks(some, slots).findings.map(({ kind }) => kind);

describe('ticks', () => {
  it('have one run each, those before and after the span not counted', () => {
    expect(judgeTicks(plan, ran([9, ...all, 21]))).toEqual({
      counts: { due: 10, ran: 10, missing: 0, double: 0 },
      findings: [],
    });
  });

  it('are found missing and doubled', () => {
    const slots = new Map([...ran(all.slice(0, -1)), [15_000, { runs: 2, at: 15_000 }]]);
    expect(kinds(plan, slots)).toEqual(['double tick', 'missing tick']);
  });

  const dark = { from: 12_500, gone: 13_500, back: 16_500 };
  it.each([
    ['all', 'each made up for', [11, 12, 13, 17, 18, 19, 20], [14, 15, 16], []],
    ['all', 'one made up for', [11, 12, 13, 17, 18, 19, 20], [14], ['missing tick', 'missing tick']],
    ['once', 'one made up for', [11, 12, 13, 18, 19, 20], [14], []],
    ['once', 'one from before the last worker went', [11, 12, 18, 19, 20], [13], []],
    ['once', 'none made up for', [11, 12, 13, 18, 19, 20], [], ['missing tick']],
    ['once', 'two made up for', [11, 12, 13, 18, 19, 20], [14, 15], ['double tick']],
    ['once', 'one before all that is missing', [12, 13, 18, 19, 20], [14], ['missing tick']],
    ['once', 'no return', [11, 12, 13], [14], Array.from({ length: 6 }, () => 'missing tick')],
    ['skip', 'one made up for', [11, 12, 13, 18, 19, 20], [14], []],
    ['skip', 'none made up for', [11, 12, 13, 18, 19, 20], [], []],
  ] as const)('of the policy %s, %s, are judged', (missed, _what, onTime, madeUp, findings) => {
    expect(kinds({ ...plan, missed, dark }, ran(onTime, madeUp))).toEqual(findings);
  });

  it('that are late do not run where they are skipped', () => {
    const late = { ...plan, missed: 'skip', dark, lateAfterMs: 2_000 } as const;
    expect(kinds(late, ran([11, 12, 13, 18, 19, 20]))).toEqual([]);
    expect(kinds(late, ran([11, 12, 13, 18, 19, 20], [14]))).toEqual(['double tick']);
  });
});
