import { Redis } from 'ioredis';
import { openBackend } from '../../../backends/open.ts';
import type { Arena } from '../arena.ts';
import { spread } from '../figures.ts';
import type { SideResult } from '../judge-run.ts';
import { type FaultLine, logPaths, readLog, type StateLine } from '../logs.ts';
import type { Scenario } from '../scenario.ts';

const leaseMs = 5_000;

export const scenario: Scenario = {
  title: 'every second all lock keys of running jobs are deleted, as an evicting policy would',
  stores: ['redis'],
  // The long ones outlive a lease.
  load: { rate: 20, longPerS: 2, longMs: 7_000 },
  leaseMs,
  isLight: true,
  async inject(arena) {
    await arena.every(1_000, async () => {
      const client = new Redis(arena.server.url);
      try {
        const locks = await client.keys('bull:load:*:lock');
        arena.note('inject', `${locks.length} locks deleted`);
        if (locks.length > 0) await client.del(locks);
      } finally {
        client.disconnect();
      }
    });
    if (arena.side === 'ours') arena.facts.set('isPolicyRefused', (await isPolicyRefused(arena)) ? 1 : 0);
  },
  targets: (ours, arena) => {
    const times = detectionTimes(ours, arena);
    return [
      {
        what: `${times.length} lost leases noticed, the latest`,
        measured: spread(times).max,
        limit: leaseMs,
        unit: 'ms',
      },
    ];
  },
  problems: (ours, arena) => [
    ...(arena.facts.get('isPolicyRefused') === 1 ? [] : ['a Redis that evicts (volatile-lru) was not called unsafe']),
    ...(detectionTimes(ours, arena).length > 0 ? [] : ['no lost lease was noticed']),
  ],
};

/** From the first deletion after a claim to the note that it was lost. */
function detectionTimes({ records }: SideResult, { folder }: Arena): number[] {
  const paths = logPaths(folder);
  const deletions = readLog<FaultLine>(paths.faults).flatMap(({ event, t }) => (event === 'inject' ? [t] : []));
  const claims = new Map<string, number[]>();
  for (const { event, id, t } of readLog<StateLine>(paths.state))
    if (event === 'claimed') claims.set(id, [...(claims.get(id) ?? []), t]);
  return records.flatMap(({ id, run }) =>
    (run?.causes ?? []).flatMap(({ cause, at }) => {
      const claimed = claims.get(id)?.findLast((t) => t <= at);
      const deleted = claimed === undefined ? undefined : deletions.find((t) => t > claimed);
      return cause !== 'lease' || deleted === undefined || deleted > at ? [] : [at - deleted];
    }),
  );
}

/** What keeps every process of ours from being ready on such a store, and what `doctor` shows. */
async function isPolicyRefused({ server }: Arena): Promise<boolean> {
  const backend = await openBackend(server.url, { onError: () => undefined });
  try {
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'volatile-lru');
    const findings = await backend.inspect();
    return findings.some(({ check, state }) => check === 'eviction' && state === 'unsafe');
  } finally {
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    await backend.close();
  }
}
