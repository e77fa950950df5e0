import type { Arena } from '../arena.ts';
import { logPaths, type ProducerLine, readLog, type StateLine } from '../logs.ts';
import type { Scenario } from '../scenario.ts';

const delayMs = 4_000;
const shift = new URL('../shift-clock.js', import.meta.url).href;
const offsets = ['65', '-65'];

export const scenario: Scenario = {
  title: 'two of five workers run 65 minutes ahead and behind; every job is due in 4 s',
  stores: ['redis', 'postgres', 'embedded'],
  load: { rate: 20, delayMs },
  async inject(arena) {
    for (const minutes of offsets) {
      const worker = await arena.startWorker({ imports: [shift], environment: { SHIFT_MINUTES: minutes } });
      arena.facts.set(`shifted ${minutes}`, worker.pid);
    }
    await arena.every(1_000, () => undefined);
    const { claimed, early } = deeds(arena);
    arena.facts.set('claimedByShifted', claimed);
    arena.facts.set('early', early);
  },
  problems: (_ours, { facts }) => [
    ...(facts.get('claimedByShifted') === 0
      ? []
      : [`workers with a wrong clock claimed ${facts.get('claimedByShifted')} jobs`]),
    ...(facts.get('early') === 0 ? [] : [`${facts.get('early')} jobs started more than 2 s early`]),
  ],
};

/** What workers with a wrong clock claimed, and what started more than 2 s before it was due. */
function deeds({ folder, facts }: Arena): { readonly claimed: number; readonly early: number } {
  const paths = logPaths(folder);
  const states = readLog<StateLine>(paths.state);
  const shifted = new Set(offsets.map((minutes) => facts.get(`shifted ${minutes}`)));
  // A job is due by when its call was made, however late the answer came.
  const called = new Map<string, number>();
  const askedAt = new Map<string, number>();
  for (const { event, id, job, t } of readLog<ProducerLine>(paths.producer)) {
    if (event === 'attempt' && !called.has(id)) called.set(id, t);
    if (event === 'accepted') askedAt.set(job ?? id, called.get(id) ?? t);
  }
  const dueAt = (id: string): number => (askedAt.get(id) ?? 0) + delayMs;
  return {
    claimed: states.filter((line) => line.event === 'claimed' && shifted.has(line.actor)).length,
    early: states.filter((line) => line.event === 'started' && line.t < dueAt(line.id) - 2_000).length,
  };
}
