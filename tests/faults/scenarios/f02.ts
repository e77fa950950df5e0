import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  title: 'jobs of 3 s, a random worker is killed every second',
  stores: ['redis', 'postgres', 'embedded'],
  load: { rate: 6, ms: [3_000, 3_000] },
  isLight: true,
  inject: (arena) =>
    arena.every(1_000, async () => {
      const victim = arena.pick();
      if (victim !== undefined) await arena.kill(victim);
    }),
  targets: ({ recoveryMs }) => [{ what: 'recovery p95', measured: recoveryMs.p95, limit: 10_000, unit: 'ms' }],
};
