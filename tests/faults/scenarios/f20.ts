import { Redis } from 'ioredis';
import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  title: 'every second all lock keys of running jobs are deleted, as an evicting policy would',
  stores: ['redis'],
  load: { rate: 20, longEvery: 10, longMs: 2_000 },
  inject: (arena) =>
    arena.every(1_000, async () => {
      const client = new Redis(arena.server.url);
      try {
        const locks = await client.keys('bull:load:*:lock');
        arena.note('inject', `${locks.length} locks deleted`);
        if (locks.length > 0) await client.del(locks);
      } finally {
        client.disconnect();
      }
    }),
};
