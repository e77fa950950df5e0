import { setTimeout as wait } from 'node:timers/promises';
import type { Arena } from '../arena.ts';
import { logPaths, type ProducerLine, readLog, type StateLine } from '../logs.ts';
import { usualLoad } from '../plan.ts';
import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  title: 'all workers are killed, nobody works for a third of the time, then they come back',
  stores: ['redis', 'postgres', 'embedded'],
  load: usualLoad,
  async inject(arena) {
    const thirdMs = (arena.seconds * 1_000) / 3;
    await wait(thirdMs);
    arena.supervise(false);
    await Promise.all(arena.workers.slice().map((worker) => arena.kill(worker)));
    await wait(thirdMs);
    const startedAt = Date.now();
    await arena.refill();
    await wait(thirdMs);
    arena.facts.set('fullRateAfterMs', fullRateAfter(arena, startedAt));
  },
  targets: (_ours, { facts }) => [
    { what: 'full rate after the restart', measured: facts.get('fullRateAfterMs') ?? 0, limit: 10_000, unit: 'ms' },
  ],
};

/** The first second after the restart in which as many jobs started as came in. */
function fullRateAfter({ folder, load }: Arena, from: number): number {
  const paths = logPaths(folder);
  const perSecond = (lines: readonly { readonly t: number }[]) => {
    const counts = new Map<number, number>();
    for (const { t } of lines) {
      if (t < from) continue;
      const second = Math.floor((t - from) / 1_000);
      counts.set(second, (counts.get(second) ?? 0) + 1);
    }
    return counts;
  };
  const started = perSecond(readLog<StateLine>(paths.state).filter((line) => line.event === 'started'));
  const accepted = perSecond(readLog<ProducerLine>(paths.producer).filter((line) => line.event === 'accepted'));
  const seconds = [...started.keys()].toSorted((a, b) => a - b);
  const first = seconds.find(
    (second) => (started.get(second) ?? 0) >= Math.min(load.rate, accepted.get(second) ?? load.rate),
  );
  return first === undefined ? Number.POSITIVE_INFINITY : (first + 1) * 1_000;
}
