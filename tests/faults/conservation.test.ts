import { describe, expect, it } from 'vitest';
import { judgeCounters, judgeSamples } from './conservation.ts';
import type { SampleLine, StateLine, VitalsLine } from './logs.ts';

const line = { id: '-', actor: 1, seq: 1, t: 1 };
const look = (held: number, accepted: number, called: number): SampleLine => ({
  ...line,
  event: 'sample',
  counts: { waiting: held - 1, completed: 1 },
  accepted,
  called,
});

describe('samples', () => {
  it('may hold calls that have no answer yet', () => {
    expect(judgeSamples([look(5, 5, 5), look(7, 5, 9)])).toEqual([]);
  });

  it('show a job that vanished and one that nobody asked for', () => {
    const findings = judgeSamples([look(4, 5, 6), look(7, 5, 6)]);
    expect(findings.map(({ kind }) => kind)).toEqual(['conservation', 'conservation']);
  });
});

describe('counters', () => {
  const completed = (id: string, actor: number): StateLine => ({ ...line, id, actor, event: 'completed', fence: 1 });
  const vitals = (actor: number, count: number): VitalsLine => ({
    ...line,
    actor,
    event: 'vitals',
    completed: count,
    failed: 0,
    errors: 0,
    uptimeS: 1,
    rssMb: 1,
    fds: 1,
    sockets: 1,
    loopP99Ms: 1,
  });
  const records = ['a', 'b', 'c'].map((id) => ({ id, key: id, state: 'completed', attempts: 1, claims: 1 }));
  const heard = [completed('a', 1), completed('b', 1), completed('c', 2)];

  it('agree with what the store accepted', () => {
    expect(judgeCounters([vitals(1, 1), vitals(1, 2), vitals(2, 1)], heard, records, new Set())).toEqual([]);
  });

  it('may be behind where the worker was killed, and ahead by an end whose answer was lost', () => {
    expect(judgeCounters([vitals(1, 1)], heard, records, new Set([1]))).toEqual([]);
    expect(judgeCounters([vitals(1, 3)], heard.slice(0, 2), records, new Set())).toEqual([]);
  });

  it('are found behind or ahead otherwise', () => {
    expect(judgeCounters([vitals(1, 1)], heard, records, new Set())).toHaveLength(1);
    expect(judgeCounters([vitals(2, 2)], heard, records, new Set())).toHaveLength(1);
  });
});
