import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Declaration, ScheduleRecord } from '../backends/schedule-record.ts';
import { slotJobId, tickJobId } from '../backends/slot-id.ts';
import { decideTick, endRun, mostOpen, type TickVerdict } from './slot-rules.ts';

const minute = 60_000;
const start = Date.parse('2026-03-01T12:00:00Z');
const slotAt = (index: number): number => start + index * minute;

function declared(more: Partial<Declaration> = {}): Declaration {
  const rule = { cron: '* * * * *', timeZone: 'UTC', missed: 'once', overlap: 'skip' } as const;
  return { ...rule, json: '{}', attempts: 3, priority: 0, since: start, ...more };
}

const fresh = (more: Partial<Declaration> = {}): ScheduleRecord => ({
  declared: declared(more),
  release: '1.0.0',
  open: [],
});

interface Ask {
  readonly isPaused?: boolean;
  readonly id?: string;
  /** Default: at its time. */
  readonly lateMs?: number;
  /** Slots whose job is over, whatever the record says. Default: none. */
  readonly dead?: readonly number[];
}

/** One claim of the job of a tick: asks until there is a verdict, as the driver does. */
function claim(
  record: ScheduleRecord,
  index: number,
  { isPaused = false, id = tickJobId('x', slotAt(index)), lateMs = 0, dead = [] }: Ask = {},
): { readonly verdict: TickVerdict; readonly record: ScheduleRecord } {
  const tick = { type: 'x', slot: slotAt(index), id, now: slotAt(index) + lateMs, isPaused };
  const verdict = decideTick(record, tick);
  if (verdict.kind !== 'look') return { verdict, record: verdict.write ?? record };
  if (dead.includes(verdict.front.slot))
    return claim(endRun(record, verdict.front, 'gone', tick.now), index, { isPaused, id, lateMs, dead });
  const second = decideTick(record, { ...tick, aliveId: verdict.front.id });
  return { verdict: second, record: second.write ?? record };
}

describe('one slot', () => {
  it('runs once, and its retries until it has ended', () => {
    const first = claim(fresh(), 1);
    expect(first.verdict.kind).toBe('run');
    expect(claim(first.record, 1).verdict).toEqual({ kind: 'run' });
    const over = endRun(first.record, { slot: slotAt(1), id: tickJobId('x', slotAt(1)) }, 'done', slotAt(1) + 5);
    expect(over).toMatchObject({ open: [], last: { slot: slotAt(1), outcome: 'done' } });
    expect(claim(over, 1).verdict).toMatchObject({ kind: 'skip', reason: 'duplicate' });
    expect(claim(over, 0).verdict).toMatchObject({ kind: 'skip', reason: 'duplicate' });
  });

  it('runs when a newer one was claimed before it, and then no more', () => {
    const newer = claim(fresh(), 3);
    const over = endRun(newer.record, { slot: slotAt(3), id: tickJobId('x', slotAt(3)) }, 'done', slotAt(3));
    const older = claim(over, 1, { lateMs: 2 * minute });
    expect(older.verdict.kind).toBe('run');
    expect(older.record).toMatchObject({ slot: slotAt(3), open: [{ slot: slotAt(1) }] });
    const both = endRun(older.record, { slot: slotAt(1), id: tickJobId('x', slotAt(1)) }, 'done', slotAt(4));
    expect(both.last).toMatchObject({ slot: slotAt(3) });
    for (const index of [1, 3]) expect(claim(both, index).verdict).toMatchObject({ reason: 'duplicate' });
    expect(claim(both, 2).verdict.kind).toBe('run');
    expect(claim(both, 4).verdict.kind).toBe('run');
  });

  it('is decided as any other when it comes late: by overlap, pause and lateness, and never instead of a newer one', () => {
    const running = claim(fresh(), 3).record;
    expect(claim(running, 1).verdict).toMatchObject({ kind: 'skip', reason: 'overlap' });
    const waits = claim({ ...running, declared: declared({ overlap: 'queue' }) }, 1);
    expect(waits.verdict).toMatchObject({ kind: 'wait', behind: 1 });
    const replacing = claim({ ...running, declared: declared({ overlap: 'replace' }) }, 1);
    expect(replacing.verdict).toMatchObject({ kind: 'skip', reason: 'overlap' });
    expect(claim(running, 1, { isPaused: true }).verdict).toMatchObject({ reason: 'paused' });
    const late = claim({ ...running, declared: declared({ missed: 'skip' }) }, 1, { lateMs: 2 * minute });
    expect(late.verdict).toMatchObject({ reason: 'late' });
    expect(late.record.slot).toBe(slotAt(3));
    expect(claim(late.record, 1).verdict).toMatchObject({ reason: 'duplicate' });
  });

  it('is taken for decided before the memory of decided ones begins', () => {
    const before: ScheduleRecord = { ...fresh(), slot: slotAt(5) };
    expect(claim(before, 4).verdict).toMatchObject({ reason: 'duplicate' });
    const { record } = claim(before, 7);
    expect(claim(record, 5, { dead: [slotAt(7)] }).verdict).toMatchObject({ reason: 'duplicate' });
    expect(claim(record, 6, { dead: [slotAt(7)] }).verdict.kind).toBe('run');
    let many = fresh();
    for (let index = 1; index <= 300; index += 2) many = claim(many, index, { dead: [slotAt(index - 2)] }).record;
    expect(claim(many, 2, { dead: [slotAt(299)] }).verdict).toMatchObject({ reason: 'duplicate' });
    expect(claim(many, 298, { dead: [slotAt(299)] }).verdict.kind).toBe('run');
    expect(JSON.stringify(many).length).toBeLessThan(1_500);
  });

  it('runs for one of two jobs', () => {
    const { record } = claim(fresh(), 1);
    expect(claim(record, 1, { id: slotJobId('x', slotAt(1)) }).verdict).toMatchObject({ reason: 'duplicate' });
  });

  it('runs for a type without a record, as after a flush', () => {
    expect(claim({ release: '0', open: [] }, 1).verdict.kind).toBe('run');
  });

  it('is skipped while paused and when its schedule was removed, and that is noted', () => {
    const paused = claim(fresh(), 1, { isPaused: true });
    expect(paused.record).toMatchObject({ slot: slotAt(1), open: [], skipped: { reason: 'paused' } });
    expect(claim({ ...fresh(), declared: null }, 1).verdict).toMatchObject({ kind: 'skip', reason: 'removed' });
  });
});

describe('missed ticks', () => {
  it('once: the late tick runs for all of them', () => {
    expect(claim(fresh(), 1, { lateMs: 30 * minute }).verdict).toMatchObject({ kind: 'run' });
  });

  it('skip: a tick more than a minute late does not run', () => {
    expect(claim(fresh({ missed: 'skip' }), 1, { lateMs: minute }).verdict.kind).toBe('run');
    expect(claim(fresh({ missed: 'skip' }), 1, { lateMs: minute + 1 }).verdict).toMatchObject({ reason: 'late' });
  });

  it('all: every tick since the last one runs, in order, before and after the one that came', () => {
    const before: ScheduleRecord = { ...fresh({ missed: 'all', overlap: 'queue' }), slot: slotAt(2) };
    const { verdict, record } = claim(before, 5, { lateMs: 2 * minute + 1 });
    expect(verdict.kind).toBe('wait');
    expect(record.open.map(({ slot }) => (slot - start) / minute)).toEqual([3, 4, 5, 6, 7]);
    expect(verdict.store?.map(({ id }) => id)).toEqual([3, 4, 6, 7].map((index) => slotJobId('x', slotAt(index))));
    expect(record.slot).toBe(slotAt(7));
    expect(claim(record, 6).verdict).toMatchObject({ kind: 'skip', reason: 'duplicate' });
    const id = slotJobId('x', slotAt(3));
    // Not marked as stored yet: whoever comes next stores them again.
    expect(claim(record, 3, { id }).verdict).toMatchObject({ kind: 'run', store: verdict.store });
  });

  it('all: at most a hundred, the newest', () => {
    const before: ScheduleRecord = { ...fresh({ missed: 'all', overlap: 'queue' }), slot: slotAt(0) };
    const { verdict, record } = claim(before, 1, { lateMs: 5_000 * minute });
    expect(record.open).toHaveLength(mostOpen);
    expect(record.open.at(-1)?.slot).toBe(slotAt(5_001));
    expect(record.open[0]?.slot).toBe(slotAt(1));
    expect(verdict.isTooLong).toBe(true);
    expect(JSON.stringify(record).length).toBeLessThan(16_384);
  });

  it('all: none of the time before the rule was declared', () => {
    const before: ScheduleRecord = { ...fresh({ missed: 'all', overlap: 'queue', since: slotAt(4) }), slot: slotAt(0) };
    expect(claim(before, 6).record.open.map(({ slot }) => (slot - start) / minute)).toEqual([5, 6]);
  });
});

describe('a tick while the one before runs', () => {
  it('skip: does not run, unless that one is gone', () => {
    const { record } = claim(fresh(), 1);
    expect(claim(record, 2).verdict).toMatchObject({ kind: 'skip', reason: 'overlap' });
    expect(claim(record, 2, { dead: [slotAt(1)] }).verdict.kind).toBe('run');
  });

  it('queue: waits its turn', () => {
    const second = claim(claim(fresh({ overlap: 'queue' }), 1).record, 2);
    const third = claim(second.record, 3);
    expect([second.verdict.kind, third.verdict.kind]).toEqual(['wait', 'wait']);
    const over = endRun(third.record, { slot: slotAt(1), id: tickJobId('x', slotAt(1)) }, 'done', slotAt(3));
    expect([claim(over, 3).verdict.kind, claim(over, 2).verdict.kind]).toEqual(['wait', 'run']);
  });

  it('replace: the older one is cancelled, and the newer one waits for its end', () => {
    const { record } = claim(fresh({ overlap: 'replace' }), 1);
    const { verdict } = claim(record, 2);
    expect(verdict).toMatchObject({ kind: 'wait', cancel: [{ slot: slotAt(1) }] });
  });
});

it('in whatever order ticks are claimed, each runs once', () => {
  const orders = fc.shuffledSubarray(
    Array.from({ length: 20 }, (_, at) => at + 1),
    { minLength: 20 },
  );
  fc.assert(
    fc.property(orders, fc.array(fc.integer({ min: 1, max: 20 })), (order, again) => {
      let record = fresh();
      const runs: number[] = [];
      for (const index of [...order, ...again]) {
        const { verdict, record: after } = claim(record, index, { dead: [...Array(21).keys()].map(slotAt) });
        record = after;
        if (verdict.kind !== 'run') continue;
        runs.push(index);
        record = endRun(record, { slot: slotAt(index), id: tickJobId('x', slotAt(index)) }, 'done', slotAt(21));
      }
      expect(runs).toEqual(order);
    }),
    { numRuns: 300 },
  );
});

it('whatever comes, runs no slot twice, never two at once, and with queue none of them never', () => {
  const steps = fc.array(
    fc.record({
      step: fc.constantFrom('tick', 'tick', 'again', 'end', 'crash', 'vanish' as const),
      pick: fc.nat(20),
    }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(fc.constantFrom('queue', 'skip' as const), steps, (overlap, list) => {
      let record = fresh({ overlap });
      let ticks = 0;
      const jobs = new Map<number, 'waits' | 'runs' | 'over'>();
      const runs = new Map<number, number>();
      const those = (state: string): number[] => [...jobs].filter(([, now]) => now === state).map(([index]) => index);
      const ask = (index: number): void => {
        const { verdict, record: after } = claim(record, index, { dead: those('over').map(slotAt) });
        record = after;
        if (verdict.kind === 'run') {
          if (jobs.get(index) !== 'runs') runs.set(index, (runs.get(index) ?? 0) + 1);
          jobs.set(index, 'runs');
        } else if (verdict.kind === 'wait') jobs.set(index, 'waits');
        else jobs.set(index, 'over');
      };
      for (const { step, pick } of list) {
        const running = those('runs');
        const waiting = [...running, ...those('waits')];
        const index = waiting[pick % Math.max(1, waiting.length)];
        if (step === 'tick') ask((ticks += 1));
        if (step === 'again' && index !== undefined) ask(index);
        const [own] = running;
        if (own !== undefined && (step === 'end' || step === 'crash')) {
          // A crash between the end and its note: the job is over, the record does not know.
          if (step === 'end')
            record = endRun(record, { slot: slotAt(own), id: tickJobId('x', slotAt(own)) }, 'done', slotAt(own));
          jobs.set(own, 'over');
        }
        if (step === 'vanish' && index !== undefined) jobs.set(index, 'over');
        expect(those('runs').length).toBeLessThanOrEqual(1);
      }
      const vanished = list.some(({ step }) => step === 'vanish');
      // The fleet goes on until nothing waits.
      for (let left = those('waits').length + those('runs').length; left > 0; left -= 1) {
        for (const own of those('runs')) {
          record = endRun(record, { slot: slotAt(own), id: tickJobId('x', slotAt(own)) }, 'done', slotAt(own));
          jobs.set(own, 'over');
        }
        for (const index of those('waits')) ask(index);
      }
      expect([...runs.values()].every((count) => count === 1)).toBe(true);
      const mayBeLess = overlap === 'skip' || vanished;
      expect(runs.size === ticks || mayBeLess).toBe(true);
    }),
    { numRuns: 500 },
  );
});
