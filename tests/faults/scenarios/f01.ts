import { usualLoad } from '../plan.ts';
import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  title: 'a random worker is killed every 2 s',
  stores: ['redis', 'postgres', 'embedded'],
  load: usualLoad,
  inject: (arena) =>
    arena.every(2_000, async () => {
      const victim = arena.pick();
      if (victim !== undefined) await arena.kill(victim);
    }),
  targets: ({ recoveryMs }) => [{ what: 'recovery p95', measured: recoveryMs.p95, limit: 10_000, unit: 'ms' }],
};
