/** The course of F24: rounds of upserts, a store that comes back, kills, darkness, and what the schedules made of it. */
import { setTimeout as wait } from 'node:timers/promises';
import { lateAfterMs } from '../../backends/schedule-record.ts';
import type { Arena } from './arena.ts';
import type { Scenario } from './scenario.ts';
import { caughtUp } from './tick-watch.ts';
import { judgeUpserts, upsertRounds } from './upserts.ts';

/** Of ordinary ticks after the return. */
const settleMs = 20_000;
const roundsWanted = 50;
const shownAtMost = 20;
/** Below so many seconds a run is a try: fewer rounds, and no darkness in which ticks become late. */
const fullSeconds = 20;

const problemsOf = new WeakMap<Arena, readonly string[]>();

/** `breakStore`: it is away for a moment and comes back. */
export function tickingScenario(
  parts: Pick<Scenario, 'needsLedger' | 'server' | 'stores' | 'title'>,
  breakStore: (arena: Arena) => Promise<void>,
): Scenario {
  return {
    ...parts,
    load: { rate: 5, isScheduled: true },
    workers: 4,
    isLight: true,
    withoutStock: 'its schedulers promise no run for ticks nobody was there for',
    async inject(arena) {
      const isFull = arena.seconds >= fullSeconds;
      const from = Date.now();
      const rounds = isFull ? roundsWanted : Math.ceil((roundsWanted * arena.seconds) / fullSeconds);
      const problems = await upsertRounds(arena, rounds);
      arena.facts.set('upsertRounds', rounds);
      arena.facts.set('upsertMs', Date.now() - from);
      const disturbedAt = Date.now();
      await breakStore(arena);
      await arena.every(2_000, async () => {
        const victim = arena.pick();
        if (victim !== undefined) await arena.kill(victim);
      });
      arena.supervise(false);
      await Promise.all(arena.workers.slice().map((worker) => arena.kill(worker)));
      const gone = Date.now();
      await wait(isFull ? lateAfterMs + 8_000 : 12_000);
      const dark = { from: disturbedAt, gone, back: Date.now() };
      await arena.refill();
      await wait(settleMs);
      const findings = await caughtUp(arena, { from: from + 1_000, until: Date.now(), dark });
      const shown = findings.slice(0, shownAtMost).map(({ kind, id, detail }) => `${kind} ${id}: ${detail}`);
      problemsOf.set(arena, [...problems, ...shown, ...(await judgeUpserts(arena.server.url, rounds))]);
    },
    problems: (_ours, arena) => problemsOf.get(arena) ?? ['the schedules were not judged'],
  };
}
