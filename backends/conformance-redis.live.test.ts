import { describe } from 'vitest';
import { conformance } from './conformance.ts';
import { flowTitles } from './conformance-flows.ts';
import { openBackend } from './open.ts';

const noFlows = 'a Cluster keeps no flows: the queues of a parent and its children lie on different nodes';
const clusterSkips = Object.fromEntries(flowTitles.map((title) => [title, noFlows]));

/** Redis in every form; script/test starts one server of each and names it in the variable. */
describe.each([
  ['redis', 'TEST_REDIS_URL', true],
  ['redis without batching', 'TEST_REDIS_URL', false],
  ['redis over TLS, with the documented rights', 'TEST_REDIS_TLS_URL', true],
  ['redis with Sentinels', 'TEST_REDIS_SENTINEL_URL', true],
  ['redis cluster', 'TEST_REDIS_CLUSTER_URL', true],
])('%s of %s', (name, variable, batching) => {
  const url = process.env[variable];
  describe.skipIf(url === undefined)('by its address', () => {
    conformance(name, (onError) => openBackend(url ?? '', { onError, batching }), {
      heavy: name === 'redis',
      skips: name === 'redis cluster' ? clusterSkips : {},
    });
  });
});
