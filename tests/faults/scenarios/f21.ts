import type { Scenario } from '../scenario.ts';
import { redisServer } from '../servers.ts';

export const scenario: Scenario = {
  title: 'Redis of 24 MB is filled faster than the workers drain it',
  stores: ['redis'],
  load: { rate: 250, ms: [200, 400], padBytes: 12_000 },
  // Every job leaves its payload and its record: enough room for what was accepted.
  server: () => redisServer({ maxmemory: '24mb', 'maxmemory-policy': 'noeviction' }),
  inject: (arena) => arena.every(1_000, () => undefined),
  problems: ({ errorsPerS, counts }) => [
    ...(errorsPerS > 10 ? [`${errorsPerS} errors a second in one worker, at most 10`] : []),
    ...(counts.refused > 0
      ? []
      : ['nothing was refused: the store was not filled, or adds failed without a clear answer']),
  ],
  drainMs: 120_000,
};
