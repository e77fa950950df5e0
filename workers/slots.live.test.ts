import { describe } from 'vitest';
import { openBackend } from '../backends/open.ts';
import { redisDatabase } from '../tests/support/redis-database.ts';
import { slotTests } from './slots.suite.ts';

const { TEST_POSTGRES_URL: postgresUrl } = process.env;
const redisUrl = redisDatabase('slots');
const onError = (): undefined => undefined;

/** A database that no other suite uses: the job type has one name. */
function redisPlace(): string {
  return url.href;
}

describe.skipIf(redisUrl === undefined)('Redis of TEST_REDIS_URL', () => {
  slotTests('redis', () => openBackend(redisPlace(), { onError }));
});

describe.skipIf(postgresUrl === undefined)('PostgreSQL of TEST_POSTGRES_URL', () => {
  slotTests('postgres', () => openBackend(postgresUrl ?? '', { onError }));
});
