/** The stores that keep to the model; those without a server here are left out by the suites. */
export const stores: Readonly<Record<string, string | undefined>> = {
  embedded: 'embedded:memory',
  postgres: process.env['TEST_POSTGRES_URL'],
  redis: process.env['TEST_REDIS_URL'],
  'redis, sentinel': process.env['TEST_REDIS_SENTINEL_URL'],
  'redis, cluster': process.env['TEST_REDIS_CLUSTER_URL'],
};
