import { setTimeout as wait } from 'node:timers/promises';
import type { Scenario } from '../scenario.ts';
import { sentinelServer } from '../sets.ts';

export const scenario: Scenario = {
  title: 'Sentinel: the primary stands still for 9 s (SIGSTOP) and wakes up when another has its place',
  stores: ['redis'],
  needsLedger: ['redis'],
  load: { ms: [200, 300] },
  server: sentinelServer,
  async inject({ server, note, seconds }) {
    await wait(seconds * 250);
    note('inject', 'SIGSTOP');
    server.freeze();
    await wait(9_000);
    server.thaw();
    note('heal', 'SIGCONT');
    await wait(seconds * 500);
  },
};
