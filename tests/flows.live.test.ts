import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openBackend } from '../backends/open.ts';
import { defineJob } from '../jobs/define.ts';
import { createClient } from '../producers/client.ts';
import { findAvailable } from '../workers/availability.ts';
import { flowSuite } from './support/flows.suite.ts';
import { redisDatabase } from './support/redis-database.ts';

const { TEST_POSTGRES_URL: postgresUrl, TEST_REDIS_CLUSTER_URL: clusterUrl } = process.env;
const redisUrl = redisDatabase('flows');
const onError = () => undefined;

describe.skipIf(redisUrl === undefined)('Redis of TEST_REDIS_URL', () => {
  flowSuite('redis', () => openBackend(redisUrl ?? '', { onError }));
});

describe.skipIf(postgresUrl === undefined)('PostgreSQL of TEST_POSTGRES_URL', () => {
  flowSuite('postgres', () => openBackend(postgresUrl ?? '', { onError }));
});

describe.skipIf(clusterUrl === undefined)('the Redis Cluster of TEST_REDIS_CLUSTER_URL', () => {
  it('takes no flow, and its workers do not serve a type that needs them', async () => {
    const backend = await openBackend(clusterUrl ?? '', { onError });
    const job = defineJob({
      name: 'flow-refused',
      summary: 'Needs flows: for tests.',
      payload: z.strictObject({}),
      result: z.object({}),
      needs: ['flows'],
    });
    const registry = {
      jobs: new Map([[job.name, job]]),
      find: () => job,
      handlerUrl: () => '',
      handler: () => Promise.reject(new Error('it is not asked for')),
    };
    try {
      const adding = createClient({ backend, registry }).enqueueFlow(job, {}, { children: [] });
      await expect(adding).rejects.toMatchObject({ code: 'UNSUPPORTED' });
      const { unavailable } = await findAvailable(
        registry,
        undefined,
        {},
        { capabilities: backend.capabilities, documents: async () => undefined, key: false },
      );
      expect(unavailable.get(job.name)).toContain('BACKEND_UNSUPPORTED');
    } finally {
      await backend.close();
    }
  });
});
