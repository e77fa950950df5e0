import { describe } from 'vitest';
import { openBackend } from '../backends/open.ts';
import { secretFieldTests } from './support/secret-fields.suite.ts';

const { TEST_POSTGRES_URL: postgresUrl, TEST_REDIS_URL: redisUrl } = process.env;
const onError = () => undefined;

describe.skipIf(redisUrl === undefined)('Redis of TEST_REDIS_URL', () => {
  const url = new URL(redisUrl ?? 'redis://127.0.0.1');
  url.pathname = '/9';
  secretFieldTests('redis', () => openBackend(url.href, { onError }));
});

describe.skipIf(postgresUrl === undefined)('PostgreSQL of TEST_POSTGRES_URL', () => {
  secretFieldTests('postgres', () => openBackend(postgresUrl ?? '', { onError }));
});
