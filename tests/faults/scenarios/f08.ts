import { setTimeout as wait } from 'node:timers/promises';
import { proxyOf } from '../proxied.ts';
import type { Scenario } from '../scenario.ts';
import { isOfTheSet, splitServer } from '../sets.ts';

export const scenario: Scenario = {
  title: 'Sentinel: the primary is cut off from its set but not from its clients for 12 s, then demoted',
  stores: ['redis'],
  needsLedger: ['redis'],
  // A backlog, so that accepted jobs wait on the losing side.
  load: { ms: [200, 300] },
  server: splitServer,
  async inject(arena) {
    const proxy = proxyOf(arena.server);
    proxy.only(isOfTheSet);
    await wait(arena.seconds * 250);
    arena.note('inject', 'split');
    proxy.set({ kind: 'silence' });
    await wait(12_000);
    proxy.set({ kind: 'pass' });
    arena.note('heal', 'the network is whole');
    await wait(arena.seconds * 500);
  },
};
