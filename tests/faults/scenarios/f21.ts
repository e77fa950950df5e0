import { setTimeout as wait } from 'node:timers/promises';
import type { Arena } from '../arena.ts';
import { logPaths, type ProducerLine, readLog, type StateLine, type VitalsLine } from '../logs.ts';
import type { Scenario } from '../scenario.ts';
import { redisServer } from '../servers.ts';

const fillLimitMs = 240_000;
const watchedMs = 10_000;

export const scenario: Scenario = {
  title: 'Redis of 24 MB is filled by 600 adds a second while nobody works; then the workers start',
  stores: ['redis'],
  // About 8,000 of them fill it.
  load: { rate: 600, padBytes: 2_200, most: 9_500 },
  startsIdle: true,
  server: () => redisServer({ maxmemory: '24mb', 'maxmemory-policy': 'noeviction' }),
  async inject(arena) {
    await untilFull(arena);
    await arena.refill();
    const from = Date.now();
    arena.note('inject', 'full, workers started');
    await wait(Math.max(watchedMs, arena.seconds * 500));
    measure(arena, from);
  },
  problems: ({ counts }, { facts }) => [
    ...(counts.refused > 0
      ? []
      : ['nothing was refused: the store was not filled, or adds failed without a clear answer']),
    ...((facts.get('completedIn10s') ?? 0) > 0 ? [] : ['nothing was completed in 10 s: the queue cannot be drained']),
  ],
  drainMs: 120_000,
  // Whose workers cannot finish when nothing fits will not later either.
  stalledMs: 15_000,
};

/** Until the first call is answered with something else than a job. */
async function untilFull({ folder }: Arena): Promise<void> {
  const until = Date.now() + fillLimitMs;
  while (Date.now() < until) {
    const lines = readLog<ProducerLine>(logPaths(folder).producer);
    if (lines.some(({ event }) => event === 'refused' || event === 'unknown')) return;
    await wait(500);
  }
}

function measure({ facts, folder }: Arena, from: number): void {
  const paths = logPaths(folder);
  const isInside = ({ t }: { readonly t: number }) => t >= from && t < from + watchedMs;
  const completed = readLog<StateLine>(paths.state).filter((line) => line.event === 'completed' && isInside(line));
  const last = new Map(
    readLog<VitalsLine>(paths.vitals)
      .filter(isInside)
      .map((line) => [line.actor, line.errors]),
  );
  facts.set('completedIn10s', completed.length);
  facts.set(
    'errorsIn10s',
    [...last.values()].reduce((sum, errors) => sum + errors, 0),
  );
}
