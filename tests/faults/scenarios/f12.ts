import { setTimeout as wait } from 'node:timers/promises';
import { usualLoad } from '../plan.ts';
import { proxiedServer, proxyOf } from '../proxied.ts';
import type { ProxyMode } from '../proxy.ts';
import type { Scenario } from '../scenario.ts';

/** Share of the time, and what the network does in it. */
const course: readonly (readonly [number, ProxyMode])[] = [
  [0.15, { kind: 'pass' }],
  [0.25, { kind: 'stall' }],
  [0.1, { kind: 'pass' }],
  [0.02, { kind: 'reset' }],
  [0.03, { kind: 'pass' }],
  [0.02, { kind: 'reset' }],
  [0.03, { kind: 'cut', cutAfter: 2_000 }],
  [0.1, { kind: 'pass' }],
  [0.2, { kind: 'silence' }],
  [0.1, { kind: 'pass' }],
];

export const scenario: Scenario = {
  title:
    'between fleet and store: packets late by a quarter of the time, reset storms, answers cut in the middle, connections half-open for good',
  stores: ['redis', 'postgres'],
  load: usualLoad,
  server: proxiedServer,
  targets: ({ resumeMs }) => [
    { what: 'work goes on after a heal, the longest', measured: resumeMs.max, limit: 10_000, unit: 'ms' },
  ],
  // Who waits on a connection that is dead for good waits for ever.
  drainMs: 90_000,
  async inject(arena) {
    const proxy = proxyOf(arena.server);
    for (const [share, mode] of course) {
      arena.note(mode.kind === 'pass' ? 'heal' : 'inject', mode.kind);
      proxy.set(mode);
      await wait(share * arena.seconds * 1_000);
    }
    proxy.set({ kind: 'pass' });
  },
};
