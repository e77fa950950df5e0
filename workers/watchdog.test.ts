import { describe, expect, it } from 'vitest';
import type { Slot } from './lease-slots.ts';
import { judgeLoop, type LoopState } from './watchdog.ts';

const running: Slot = { queue: 0, id: 'a_1', token: 't', deadlineAt: 20_000 };

/** Ticks every 250 ms from 10 s on; the loop's last sign of life came at 10 s. */
function ticks(until: number, taken: readonly Slot[], stepMs = 250) {
  let state: LoopState = { tickedAt: 10_000, thawedAt: 0, isReported: false };
  const said: { at: number; msg: string }[] = [];
  for (let now = 10_000 + stepMs; now <= until; now += stepMs) {
    const judged = judgeLoop(state, { now, beatAt: 10_000, taken });
    state = judged.state;
    for (const { msg } of judged.reports) said.push({ at: now, msg });
    if (judged.kill) return { said, killedAt: now };
  }
  return { said, killedAt: undefined };
}

describe('the watchdog', () => {
  it('reports a silent loop once, within 2 s', () => {
    const { said, killedAt } = ticks(15_000, [running]);
    expect(said.map((report) => report.at)).toEqual([11_750]);
    expect(killedAt).toBeUndefined();
  });

  it('ends the process before a silent attempt is 2 s past its deadline, not before 1.5 s', () => {
    expect(ticks(30_000, [running]).killedAt).toBe(21_750);
  });

  it('leaves a silent loop alone that runs nothing, and an attempt in a child', () => {
    expect(ticks(30_000, [])).toEqual({ said: [], killedAt: undefined });
    expect(ticks(90_000, [{ ...running, deadlineAt: Number.POSITIVE_INFINITY }]).killedAt).toBeUndefined();
  });

  it('blames nobody when the whole process stood still', () => {
    const late = judgeLoop(
      { tickedAt: 10_000, thawedAt: 0, isReported: false },
      { now: 40_000, beatAt: 10_000, taken: [running] },
    );
    expect(late).toMatchObject({ reports: [], kill: false });
    const soonAfter = judgeLoop(late.state, { now: 40_250, beatAt: 10_000, taken: [running] });
    expect(soonAfter).toMatchObject({ reports: [], kill: false });
  });
});
