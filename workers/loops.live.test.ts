import { describe } from 'vitest';
import { loopTests } from './loops.suite.ts';

const { TEST_REDIS_URL: redisUrl } = process.env;

describe.skipIf(redisUrl === undefined)('with TEST_REDIS_URL', () => {
  loopTests('Redis', redisUrl ?? '');
});
