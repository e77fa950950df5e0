import { setTimeout as wait } from 'node:timers/promises';
import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  title: 'FLUSHALL in the middle of the load',
  stores: ['redis'],
  needsLedger: ['redis'],
  alert: /the store has lost what it was told/,
  // More than the workers do: what is lost is what waits.
  load: { ms: [200, 300] },
  targets: ({ alertMs }) => [{ what: 'alert after FLUSHALL', measured: alertMs ?? 0, limit: 15_000, unit: 'ms' }],
  async inject(arena) {
    await wait((arena.seconds * 1_000) / 2);
    arena.note('inject', 'FLUSHALL');
    await arena.server.command('FLUSHALL');
    // A worker looks every ten seconds whether the store still knows it.
    await wait(Math.max(12_000, (arena.seconds * 1_000) / 2));
  },
};
