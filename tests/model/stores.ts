/** The stores that keep to the model; those without a server here are left out by the suites. */
import { afterAll, beforeAll, describe } from 'vitest';
import { z } from 'zod';
import { defineJob } from '../../jobs/define.ts';
import { openStore, type Store } from './real.ts';

const urls: Readonly<Record<string, string | undefined>> = {
  embedded: 'embedded:memory',
  postgres: process.env['TEST_POSTGRES_URL'],
  redis: process.env['TEST_REDIS_URL'],
  'redis, sentinel': process.env['TEST_REDIS_SENTINEL_URL'],
  'redis, cluster': process.env['TEST_REDIS_CLUSTER_URL'],
};

/** How often a property is tried: `MODEL_RUNS` (default 60), from `MODEL_SEED` (default: another one each time). */
export const numRuns = Number(process.env['MODEL_RUNS'] ?? 60);
export const seed = Number(process.env['MODEL_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
export const timeoutMs = numRuns * 2_000 + 60_000;

/** Declares the same tests on each store, with a job type of their own. The store is open when a test asks for it. */
export function onEveryStore(what: string, declare: (store: () => Store) => void): void {
  describe.each(Object.entries(urls))(`${what}: %s`, (_name, url) => {
    describe.skipIf(url === undefined)('has its server', () => {
      let store: Store;
      beforeAll(async () => {
        const type = defineJob({
          name: `model-${Math.random().toString(36).slice(2, 8)}`,
          summary: 'A job of the model.',
          payload: z.strictObject({ n: z.number() }),
          result: z.unknown(),
        });
        store = await openStore(url ?? '', type);
      });
      afterAll(async () => {
        await store.clear();
        await store.close();
      });
      declare(() => store);
    });
  });
}
