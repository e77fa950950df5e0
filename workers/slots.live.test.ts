import { describe } from 'vitest';
import { openBackend } from '../backends/open.ts';
import { slotTests } from './slots.suite.ts';

const { TEST_POSTGRES_URL: postgresUrl, TEST_REDIS_URL: redisUrl } = process.env;
const onError = (): undefined => undefined;

/** A database that no other suite uses: the job type has one name. */
function redisPlace(): string {
  const url = new URL(redisUrl ?? 'redis://127.0.0.1:6379');
  url.pathname = '/6';
  return url.href;
}

describe.skipIf(redisUrl === undefined)('Redis of TEST_REDIS_URL', () => {
  slotTests('redis', () => openBackend(redisPlace(), { onError }));
});

describe.skipIf(postgresUrl === undefined)('PostgreSQL of TEST_POSTGRES_URL', () => {
  slotTests('postgres', () => openBackend(postgresUrl ?? '', { onError }));
});
