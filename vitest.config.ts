import { defineConfig } from 'vitest/config';

const never = ['**/node_modules/**', '**/dist/**', '**/.cache/**'];

/**
 * unit: no server of its own beside the embedded store; `npm test`, under 30 s.
 * live: real Redis, PostgreSQL and S3 named by the environment; started by script/test.
 * data: the files of TEST_DATA (default shared/data), which are not part of the repository.
 */
export default defineConfig({
  test: {
    // One file at a time: many look at processes and temporary folders of the whole machine, and measure time.
    maxWorkers: 1,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: [...never, '**/*.live.test.ts', '**/*.data.test.ts'],
          globalSetup: ['tests/support/global-setup.ts'],
          testTimeout: 20_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'live',
          include: ['**/*.live.test.ts'],
          exclude: never,
          globalSetup: ['tests/support/global-setup.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'data',
          include: ['**/*.data.test.ts'],
          exclude: never,
          globalSetup: ['tests/support/global-setup.ts'],
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
