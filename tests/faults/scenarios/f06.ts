import { setTimeout as wait } from 'node:timers/promises';
import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  title: 'FLUSHALL in the middle of the load',
  stores: ['redis'],
  needsLedger: ['redis'],
  // More than the workers do: what is lost is what waits.
  load: { rate: 60, ms: [600, 800] },
  async inject(arena) {
    await wait((arena.seconds * 1_000) / 2);
    arena.note('inject', 'FLUSHALL');
    await arena.server.command('FLUSHALL');
    await wait((arena.seconds * 1_000) / 2);
  },
};
