import type { Scenario } from '../scenario.ts';

const most = 400;

export const scenario: Scenario = {
  title: 'one job in a hundred kills its process',
  stores: ['redis', 'postgres', 'embedded'],
  load: { rate: 40, most, ms: [50, 500], special: { every: 100, act: 'kill', isBad: true } },
  isLight: true,
  inject: (arena) => arena.every(1_000, () => undefined),
  problems: ({ counts }) =>
    counts.deadLettered === counts.plannedBad
      ? []
      : [`${counts.deadLettered} dead letters, expected the ${counts.plannedBad} that kill`],
};
