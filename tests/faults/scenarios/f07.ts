import { setTimeout as wait } from 'node:timers/promises';
import { usualLoad } from '../plan.ts';
import type { Scenario } from '../scenario.ts';
import { sentinelServer } from '../sets.ts';

export const scenario: Scenario = {
  title: 'Sentinel: the primary is killed, down-after 2 s; it comes back as a replica',
  stores: ['redis'],
  needsLedger: ['redis'],
  load: usualLoad,
  server: sentinelServer,
  async inject({ server, note, seconds }) {
    await wait(seconds * 250);
    note('inject', 'primary killed');
    await server.kill();
    await wait(seconds * 500);
    await server.start();
    note('heal', 'started');
    await wait(seconds * 250);
  },
};
