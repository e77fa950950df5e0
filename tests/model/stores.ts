/** The stores that keep to the model; those without a server here are left out by the suites. */
import { afterAll, beforeAll, describe } from 'vitest';
import { z } from 'zod';
import { defineJob } from '../../jobs/define.ts';
import { startRedis } from '../support/redis-servers.ts';
import { openStore, type Store } from './real.ts';

interface Place {
  readonly url: string;
  readonly restart?: () => Promise<void>;
  readonly stop?: () => Promise<void>;
}

const placeOf = (variable: string) => {
  const url = process.env[variable];
  return url === undefined ? undefined : async (): Promise<Place> => ({ url });
};

/** A server of our own that flushes each write, so that it may be killed. */
async function mortalRedis(): Promise<Place> {
  const server = await startRedis({ settings: { appendonly: 'yes', appendfsync: 'always' } });
  const restart = async (): Promise<void> => {
    await server.kill();
    await server.start();
  };
  return { url: server.url, restart, stop: server.stop };
}

const places: Readonly<Record<string, (() => Promise<Place>) | undefined>> = {
  embedded: async () => ({ url: 'embedded:memory' }),
  postgres: placeOf('TEST_POSTGRES_URL'),
  redis: placeOf('TEST_REDIS_URL'),
  'redis, killed': process.env['TEST_REDIS_URL'] === undefined ? undefined : mortalRedis,
  'redis, sentinel': placeOf('TEST_REDIS_SENTINEL_URL'),
  'redis, cluster': placeOf('TEST_REDIS_CLUSTER_URL'),
};

/** How often a property is tried: `MODEL_RUNS` (default 60), from `MODEL_SEED` (default: another one each time). */
export const numRuns = Number(process.env['MODEL_RUNS'] ?? 60);
export const seed = Number(process.env['MODEL_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
export const timeoutMs = numRuns * 2_000 + 60_000;

/** Declares the same tests on each store, with a job type of their own. The store is open when a test asks for it. */
export function onEveryStore(what: string, declare: (store: () => Store) => void): void {
  describe.each(Object.entries(places))(`${what}: %s`, (_name, find) => {
    describe.skipIf(find === undefined)('has its server', () => {
      let store: Store;
      let place: Place | undefined;
      beforeAll(async () => {
        const type = defineJob({
          name: `model-${Math.random().toString(36).slice(2, 8)}`,
          summary: 'A job of the model.',
          payload: z.strictObject({ n: z.number() }),
          result: z.unknown(),
        });
        place = await find?.();
        store = await openStore(place?.url ?? '', type, place?.restart);
      });
      afterAll(async () => {
        await store.clear();
        await store.close();
        await place?.stop?.();
      });
      declare(() => store);
    });
  });
}
