import { describe } from 'vitest';
import { tenantTests } from './support/tenants.suite.ts';

describe.each([
  ['redis', 'TEST_REDIS_URL'],
  ['redis with Sentinels', 'TEST_REDIS_SENTINEL_URL'],
  ['redis cluster', 'TEST_REDIS_CLUSTER_URL'],
  ['postgres', 'TEST_POSTGRES_URL'],
])('%s of %s', (name, variable) => {
  const url = process.env[variable];
  describe.skipIf(url === undefined)('by its address', () => {
    tenantTests(name, url ?? '');
  });
});

tenantTests('embedded:memory', 'embedded:memory');
