import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Scenario } from '../scenario.ts';

export const scenario: Scenario = {
  title:
    'children: heap, memory, process, output and disk bombs, SIGKILL, abort, exit, SIGSTOP, spin, beside innocents',
  stores: ['redis', 'postgres', 'embedded'],
  load: { type: 'caged', rate: 8, most: 60, ms: [20, 40], special: { every: 5, act: 'bomb', isBad: true } },
  workers: 2,
  concurrency: 3,
  withoutStock: 'a forked processor that spins keeps its slot for ever (B11): a run would not end',
  inject: (arena) => arena.every(1_000, () => undefined),
  problems: ({ counts, crashes }, { folder }) => [
    ...(crashes > 0 ? [`${crashes} workers ended`] : []),
    ...(counts.deadLettered === counts.plannedBad
      ? []
      : [`${counts.deadLettered} dead letters, expected the ${counts.plannedBad} bombs`]),
    ...leftFolders(folder),
  ],
};

/** The folder of an attempt is gone with its child; those of spare children go with the worker or its successor. */
function leftFolders(folder: string): string[] {
  const base = readdirSync(folder).find((name) => name.startsWith('jobfleet-'));
  if (base === undefined || !existsSync(join(folder, base))) return [];
  const left = readdirSync(join(folder, base), { recursive: true, encoding: 'utf8' }).filter((name) =>
    /file-\d+$/.test(name),
  );
  return left.length === 0 ? [] : [`${left.length} files of bombs are left`];
}
