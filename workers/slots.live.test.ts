import { describe } from 'vitest';
import { openBackend } from '../backends/open.ts';
import { redisDatabase } from '../tests/support/redis-database.ts';
import { slotTests } from './slots.suite.ts';

const { TEST_POSTGRES_URL: postgresUrl } = process.env;
const redisUrl = redisDatabase('slots');
const onError = (): undefined => undefined;

describe.skipIf(redisUrl === undefined)('Redis of TEST_REDIS_URL', () => {
  slotTests('redis', () => openBackend(redisUrl ?? '', { onError }));
});

describe.skipIf(postgresUrl === undefined)('PostgreSQL of TEST_POSTGRES_URL', () => {
  slotTests('postgres', () => openBackend(postgresUrl ?? '', { onError }));
});
