import { describe, expect, it } from 'vitest';
import { atLeast, atMost, goal, said } from './goal.ts';

const facts = { goal: 'X1', name: 'something', backend: '-' };
const round = (ours: number, theirs: number, oursCpu = 1, theirsCpu = 1) => ({ ours, theirs, oursCpu, theirsCpu });

describe('what a goal says of its rounds', () => {
  it('is the median of their ratios, of time and of CPU', () => {
    const { ratio, cpuRatio, spread, ours, theirs } = goal(facts, [
      round(10, 10, 1, 2),
      round(30, 10, 2, 2),
      round(20, 10, 3, 2),
    ]);
    expect({ ratio, cpuRatio, spread, ours, theirs }).toEqual({
      ratio: 2,
      cpuRatio: 1,
      spread: [1, 3],
      ours: 20,
      theirs: 10,
    });
  });

  it.each([
    [atLeast(1.5, 1.3), 1.6, 'met'],
    [atLeast(1.5, 1.3), 1.4, 'missed'],
    [atLeast(1.5, 1.3), 1.2, 'guard broken'],
    [atLeast(1.5), 0.1, 'missed'],
    [atMost(0.8, 0.9), 0.7, 'met'],
    [atMost(0.8, 0.9), 0.85, 'missed'],
    [atMost(0.8, 0.9), 0.95, 'guard broken'],
    [atMost(0.8, 0.9, 'cpu'), 2, 'guard broken'],
    [atMost(100, 200, 'ours'), 1.5, 'missed'],
    [atMost(15, 45, 'more'), 1.5, 'guard broken'],
  ] as const)('judges $0 at $1', (target, ratio, verdict) => {
    expect(goal(facts, [round(ratio * 100, 100, ratio, 1)], target).verdict).toBe(verdict);
  });

  it('is as bad as the worst of its targets, and no goal without any', () => {
    const rounds = [round(2, 1, 2, 1)];
    expect(goal(facts, rounds, atLeast(1), atMost(0.5, 1, 'cpu')).verdict).toBe('guard broken');
    expect(goal(facts, rounds).verdict).toBe('no goal');
  });

  it('breaks the guard of what was not measured', () => {
    expect(goal(facts, [{ ours: 1, theirs: 1 }], atMost(1, 2, 'cpu')).verdict).toBe('guard broken');
  });

  it('names its targets', () => {
    expect([atLeast(1.5, 1.3), atMost(0.8, 0.88, 'cpu'), atMost(150, undefined, 'ours')].map(said)).toEqual([
      '≥ 1.5× (guard 1.3×)',
      'CPU ≤ 0.8× (guard 0.88×)',
      '≤ 150',
    ]);
  });
});
