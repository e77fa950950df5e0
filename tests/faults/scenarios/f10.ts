import { setTimeout as wait } from 'node:timers/promises';
import { usualLoad } from '../plan.ts';
import type { Scenario } from '../scenario.ts';
import { clusterServer } from '../sets.ts';

export const scenario: Scenario = {
  title: 'Cluster: the node of the queue’s slot is killed, node-timeout 2 s',
  stores: ['redis'],
  needsLedger: ['redis'],
  load: usualLoad,
  server: clusterServer,
  async inject({ server, note, seconds, side }) {
    await wait(seconds * 250);
    note('inject', 'node killed');
    await server.kill(side === 'ours' ? '{bull:load}' : '{bull}');
    await wait(seconds * 500);
    await server.start();
    note('heal', 'started');
    await wait(seconds * 250);
  },
};
