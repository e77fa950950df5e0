/**
 * Redis in its three forms for suites that use the product's own names: on one server and under Sentinels a database of the
 * suite's own. A Cluster has one database for all, so the suite starts a Cluster where the run has one.
 */
import { afterAll, beforeAll, describe } from 'vitest';
import { databaseOf, redisDatabase } from './redis-database.ts';
import { type ClusterSet, startCluster } from './redis-sets.ts';

/** Declares the same tests on each form; `url` is known when a test or a hook of theirs asks for it. */
export function onRedisForms(
  owner: Parameters<typeof redisDatabase>[0],
  declare: (name: string, url: () => string) => void,
): void {
  const { TEST_REDIS_SENTINEL_URL: sentinelUrl, TEST_REDIS_CLUSTER_URL: clusterUrl } = process.env;
  const single = redisDatabase(owner);
  describe.skipIf(single === undefined)('Redis of TEST_REDIS_URL', () => {
    declare('redis', () => single ?? '');
  });
  describe.skipIf(sentinelUrl === undefined)('Redis with the Sentinels of TEST_REDIS_SENTINEL_URL', () => {
    declare('redis with Sentinels', () => `${sentinelUrl}?db=${databaseOf(owner)}`);
  });
  describe.skipIf(clusterUrl === undefined)('a Redis Cluster like that of TEST_REDIS_CLUSTER_URL', () => {
    let cluster: ClusterSet | undefined;
    beforeAll(async () => {
      cluster = await startCluster();
    });
    afterAll(() => cluster?.stop());
    declare('redis cluster', () => cluster?.url ?? '');
  });
}
