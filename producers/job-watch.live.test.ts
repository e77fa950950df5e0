import { describe } from 'vitest';
import { openBackend } from '../backends/open.ts';
import { jobWatchTests } from './job-watch.suite.ts';

describe.each([
  ['redis', 'TEST_REDIS_URL'],
  ['redis cluster', 'TEST_REDIS_CLUSTER_URL'],
  ['postgres', 'TEST_POSTGRES_URL'],
])('%s of %s', (name, variable) => {
  const url = process.env[variable];
  describe.skipIf(url === undefined)('by its address', () => {
    jobWatchTests(name, (onError) => openBackend(url ?? '', { onError }));
  });
});
