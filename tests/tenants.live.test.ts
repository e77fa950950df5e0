import { describe } from 'vitest';
import { tenantTests } from './support/tenants.suite.ts';

describe.skipIf(process.env['TEST_REDIS_URL'] === undefined)('Redis of TEST_REDIS_URL', () => {
  tenantTests('redis', process.env['TEST_REDIS_URL'] ?? '');
});

describe.skipIf(process.env['TEST_POSTGRES_URL'] === undefined)('PostgreSQL of TEST_POSTGRES_URL', () => {
  tenantTests('postgres', process.env['TEST_POSTGRES_URL'] ?? '');
});

tenantTests('embedded:memory', 'embedded:memory');
