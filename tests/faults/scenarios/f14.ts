import { usualLoad } from '../plan.ts';
import type { Scenario } from '../scenario.ts';

/** Of the usual load. */
const longMs = 3_000;

export const scenario: Scenario = {
  title: 'rolling deploy every 3 s with time to finish',
  stores: ['redis', 'postgres', 'embedded'],
  load: usualLoad,
  shutdownMs: 25_000,
  inject: (arena) => arena.every(3_000, () => arena.roll(30_000)),
  targets: (_ours, { stops }) => [
    {
      what: 'longest stop',
      measured: Math.max(0, ...stops.map((stop) => stop.tookMs)),
      limit: longMs + 1_000,
      unit: 'ms',
    },
  ],
  problems: ({ recoveryMs }, { stops }) => [
    ...stops
      .filter((stop) => stop.code !== 0)
      .map((stop) => `a worker ended with ${stop.signal ?? stop.code}, expected 0`),
    ...(recoveryMs.n > 0 ? [`${recoveryMs.n} jobs were interrupted, though there was time to finish`] : []),
  ],
};
