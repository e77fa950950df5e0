import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe } from 'vitest';
import { conformance } from './conformance.ts';
import { openBackend } from './open.ts';

/** PostgreSQL by address, every supported version, and the embedded server on disk. */
describe.each([
  ['PostgreSQL of TEST_POSTGRES_URL', 'postgres', process.env['TEST_POSTGRES_URL'], true],
  ['the same without batching', 'postgres-single', process.env['TEST_POSTGRES_URL'], false],
  ['PostgreSQL 15 of TEST_POSTGRES_15_URL', 'postgres-15', process.env['TEST_POSTGRES_15_URL'], true],
  ['PostgreSQL 16 of TEST_POSTGRES_16_URL', 'postgres-16', process.env['TEST_POSTGRES_16_URL'], true],
  ['PostgreSQL 17 of TEST_POSTGRES_17_URL', 'postgres-17', process.env['TEST_POSTGRES_17_URL'], true],
])('%s', (_title, name, url, batching) => {
  describe.skipIf(url === undefined)('by its address', () => {
    conformance(name, (onError) => openBackend(url ?? '', { onError, batching }), { heavy: name === 'postgres' });
  });
});

describe('a store of the embedded server on disk', () => {
  let dir: string | undefined;
  afterAll(async () => {
    if (dir !== undefined) await rm(dir, { recursive: true, force: true });
  });
  conformance('embedded', async (onError) => {
    dir = await mkdtemp(join(tmpdir(), 'jobfleet-conformance-'));
    await chmod(dir, 0o755); // run by root, the server is nobody's
    return openBackend(`embedded:${join(dir, 'queue')}`, { onError });
  });
});
