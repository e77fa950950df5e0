import { setTimeout as wait } from 'node:timers/promises';
import { sentinelServer } from '../sets.ts';
import { tickingScenario } from '../ticking-run.ts';

export const scenario = tickingScenario(
  {
    title: 'F24 under Sentinels: the primary is killed and another takes its place',
    stores: ['redis'],
    needsLedger: ['redis'],
    server: sentinelServer,
  },
  async ({ server, note }) => {
    note('inject', 'primary killed');
    await server.kill();
    await wait(5_000);
    await server.start();
    note('heal', 'started as a replica');
  },
);
