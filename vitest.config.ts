import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const never = ['**/node_modules/**', '**/dist/**', '**/.cache/**'];
const everywhere = {
  globalSetup: ['tests/support/global-setup.ts'],
  setupFiles: ['tests/support/own-folder.ts'],
  // The default of 1 s is short where other files compute.
  expect: { poll: { timeout: 15_000, interval: 50 } },
};

/**
 * unit: no server of its own beside the embedded store; `npm test`, a minute and a half on two cores.
 * live: real Redis, PostgreSQL and S3 named by the environment; started by script/test.
 * data: the files of TEST_DATA (default shared/data), which are not part of the repository.
 */
export default defineConfig({
  test: {
    // One more than processors: part of a live file is waiting. Four at most: they measure time.
    maxWorkers: Math.min(4, availableParallelism() + 1),
    projects: [
      {
        test: {
          ...everywhere,
          name: 'unit',
          // One process for many files: loading the modules anew for each costs as much as the tests.
          isolate: false,
          include: ['**/*.test.ts'],
          exclude: [...never, '**/*.live.test.ts', '**/*.data.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          ...everywhere,
          name: 'live',
          globalSetup: [...everywhere.globalSetup, 'tests/support/compiled.ts'],
          include: ['**/*.live.test.ts'],
          exclude: never,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          ...everywhere,
          name: 'data',
          globalSetup: [...everywhere.globalSetup, 'tests/support/compiled.ts'],
          include: ['**/*.data.test.ts'],
          exclude: never,
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
