import { usualLoad } from '../plan.ts';
import type { Scenario } from '../scenario.ts';

const graceMs = 1_000;

export const scenario: Scenario = {
  title: 'rolling deploy every 2 s: SIGTERM, SIGKILL 1 s later',
  stores: ['redis', 'postgres', 'embedded'],
  load: usualLoad,
  // Aborted at 400 ms, handed back by 500: the rest is for closing.
  shutdownMs: graceMs / 2,
  inject: (arena) => arena.every(2_000, () => arena.roll(graceMs)),
  targets: ({ recoveryMs }) => [
    { what: 'running again after SIGTERM, p95', measured: recoveryMs.p95, limit: 2_000, unit: 'ms' },
  ],
};
