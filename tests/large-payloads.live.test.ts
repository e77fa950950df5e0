import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe } from 'vitest';
import { openBackend } from '../backends/open.ts';
import { largePayloads } from './support/large-payloads.suite.ts';
import { onRedisForms } from './support/redis-forms.ts';

const { TEST_POSTGRES_URL: postgresUrl } = process.env;
const onError = () => undefined;

onRedisForms('large-payloads', (name, url) => largePayloads(name, () => openBackend(url(), { onError })));

describe.skipIf(postgresUrl === undefined)('PostgreSQL of TEST_POSTGRES_URL', () => {
  largePayloads('postgres', () => openBackend(postgresUrl ?? '', { onError }));
});

describe('a store of the embedded server on disk', () => {
  let dir = '';
  afterAll(() => rm(dir, { recursive: true, force: true }));
  largePayloads('embedded', async () => {
    dir = await mkdtemp(join(tmpdir(), 'jobfleet-large-store-'));
    await chmod(dir, 0o755); // run by root, the server is nobody's
    return openBackend(`embedded:${join(dir, 'queue')}`, { onError });
  });
});
