import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe } from 'vitest';
import { conformance } from './conformance.ts';
import { openBackend } from './open.ts';

const { TEST_POSTGRES_URL: postgresUrl, TEST_REDIS_URL: redisUrl } = process.env;

describe.skipIf(redisUrl === undefined)('Redis of TEST_REDIS_URL', () => {
  conformance('redis', (onError) => openBackend(redisUrl ?? '', { onError }), { heavy: true });
});

describe.skipIf(postgresUrl === undefined)('PostgreSQL of TEST_POSTGRES_URL', () => {
  conformance('postgres', (onError) => openBackend(postgresUrl ?? '', { onError }), { heavy: true });
});

describe('a store of the embedded server on disk', () => {
  let dir: string | undefined;
  afterAll(async () => {
    if (dir !== undefined) await rm(dir, { recursive: true, force: true });
  });
  conformance(
    'embedded',
    async (onError) => {
      dir = await mkdtemp(join(tmpdir(), 'jobfleet-conformance-'));
      await chmod(dir, 0o755); // run by root, the server is nobody's
      return openBackend(`embedded:${join(dir, 'queue')}`, { onError });
    },
    { heavy: true },
  );
});
