import { describe, expect, it } from 'vitest';
import { recoveryTimes } from './figures.ts';
import type { FaultLine, StateLine } from './logs.ts';

let seq = 0;
const kill = (t: number, actor: number): FaultLine => ({ t, id: 'SIGKILL', event: 'kill', actor, seq: (seq += 1) });
const state = (t: number, event: StateLine['event'], actor: number, fence: number): StateLine => ({
  t,
  id: 'job',
  event,
  actor,
  fence,
  seq: (seq += 1),
});

describe('recovery times', () => {
  it('run from the end of the holder to the next start', () => {
    const states = [state(0, 'claimed', 1, 1), state(5, 'started', 1, 1), state(70, 'claimed', 2, 2)];
    expect(recoveryTimes([kill(10, 1)], [...states, state(90, 'started', 2, 2)])).toEqual([80]);
  });

  it('count each end of a holder, also of one that had not started the job', () => {
    const states = [
      state(0, 'claimed', 1, 1),
      state(5, 'started', 1, 1),
      state(70, 'claimed', 2, 2),
      state(140, 'claimed', 3, 3),
      state(150, 'started', 3, 3),
    ];
    expect(recoveryTimes([kill(10, 1), kill(75, 2)], states)).toEqual([60, 75]);
  });

  it('leave out what had ended before, and what was never claimed again', () => {
    const ended = [state(0, 'claimed', 1, 1), state(5, 'completed', 1, 1)];
    expect(recoveryTimes([kill(10, 1)], ended)).toEqual([]);
    expect(recoveryTimes([kill(10, 1)], [state(0, 'claimed', 1, 1)])).toEqual([]);
  });
});
