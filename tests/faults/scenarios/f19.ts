import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Scenario } from '../scenario.ts';

const blockMs = 12_000;

export const scenario: Scenario = {
  title: 'a handler blocks the event loop for 12 s under a lease of 5 s',
  stores: ['redis', 'postgres', 'embedded'],
  load: { rate: 20, ms: [1_000, 2_000], most: 240, special: { every: 120, act: 'block', ms: blockMs, isBad: false } },
  concurrency: 5,
  inject: (arena) => arena.every(1_000, () => undefined),
  problems: ({ counts, crashes }, { folder }) => [
    ...(crashes > 0 ? [`${crashes} workers ended`] : []),
    ...(counts.starts === counts.accepted
      ? []
      : [`${counts.starts} starts of ${counts.accepted} jobs, expected one each`]),
    ...(hasReport(folder) ? [] : ['no worker said that its main loop is blocked']),
  ],
};

function hasReport(folder: string): boolean {
  return readdirSync(folder).some(
    (file) =>
      file.startsWith('worker-') && readFileSync(join(folder, file), 'utf8').includes('The main loop is blocked'),
  );
}
