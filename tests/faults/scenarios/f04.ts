import { setTimeout as wait } from 'node:timers/promises';
import { usualLoad } from '../plan.ts';
import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  title: 'redis-server is killed three times and comes back after 1 s, append-only file everysec',
  stores: ['redis'],
  // While an fsync of the file is under way Redis answers before it writes, for up to 2 s: on a busy disk a kill loses that.
  needsLedger: ['redis'],
  load: usualLoad,
  async inject(arena) {
    const partMs = (arena.seconds * 1_000) / 4;
    for (let round = 0; round < 3; round += 1) {
      await wait(partMs - 1_000);
      arena.note('inject', 'store killed');
      await arena.server.kill();
      await wait(1_000);
      await arena.server.start();
      arena.note('heal', 'store started');
    }
    await wait(partMs);
  },
};
