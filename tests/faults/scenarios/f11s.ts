import { setTimeout as wait } from 'node:timers/promises';
import { openBackend } from '../../../backends/open.ts';
import { watchSafety } from '../../../backends/safety.ts';
import type { Arena } from '../arena.ts';
import { usualLoad } from '../plan.ts';
import type { Scenario } from '../scenario.ts';
import { postgresServer } from '../servers.ts';

/** Not promised, and said so: this shows what the refusal is for. */
export const scenario: Scenario = {
  title: 'PostgreSQL with synchronous_commit off (which no process of ours is ready on), killed three times',
  stores: ['postgres'],
  needsLedger: ['postgres'],
  load: usualLoad,
  server: (_store, folder) =>
    postgresServer(`${folder}/postgres`, { settings: 'synchronous_commit = off\nwal_writer_delay = 1000\n' }),
  async inject(arena) {
    if (arena.side === 'ours') arena.facts.set('isRefused', (await isRefused(arena)) ? 1 : 0);
    const partMs = (arena.seconds * 1_000) / 4;
    for (let round = 0; round < 3; round += 1) {
      await wait(partMs);
      arena.note('inject', 'postmaster and children killed');
      await arena.server.kill();
      await arena.server.start();
      arena.note('heal', 'started');
    }
    await wait(partMs);
  },
  problems: (_ours, { facts }) =>
    facts.get('isRefused') === 1 ? [] : ['a PostgreSQL with synchronous_commit off was not called unsafe'],
};

/** By what readiness asks, and by what `doctor` shows. */
async function isRefused({ server }: Arena): Promise<boolean> {
  const backend = await openBackend(server.url, { onError: () => undefined });
  const safety = watchSafety(backend, () => undefined);
  try {
    const findings = await backend.inspect();
    const isFound = findings.some(({ check, state }) => check === 'durability' && state === 'unsafe');
    return isFound && (await safety.problem()) !== undefined;
  } finally {
    safety.stop();
    await backend.close();
  }
}
