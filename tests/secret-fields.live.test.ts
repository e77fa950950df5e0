import { describe } from 'vitest';
import { openBackend } from '../backends/open.ts';
import { redisDatabase } from './support/redis-database.ts';
import { secretFieldTests } from './support/secret-fields.suite.ts';

const { TEST_POSTGRES_URL: postgresUrl } = process.env;
const redisUrl = redisDatabase('secret-fields');
const onError = () => undefined;

describe.skipIf(redisUrl === undefined)('Redis of TEST_REDIS_URL', () => {
  secretFieldTests('redis', () => openBackend(redisUrl ?? '', { onError }));
});

describe.skipIf(postgresUrl === undefined)('PostgreSQL of TEST_POSTGRES_URL', () => {
  secretFieldTests('postgres', () => openBackend(postgresUrl ?? '', { onError }));
});
