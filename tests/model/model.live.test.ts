/**
 * The store against a model of it: random sequences of accept, claim, heartbeat, complete, fail, crash, hand back, cancel,
 * redrive, discard and tick, from two processes. `MODEL_RUNS` says how many sequences (default 60); a failure prints
 * its seed and path.
 */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineJob } from '../../jobs/define.ts';
import { commands, conserved } from './commands.ts';
import { Model } from './model.ts';
import { openStore, type Real, type Store } from './real.ts';
import { stores } from './stores.ts';

const numRuns = Number(process.env['MODEL_RUNS'] ?? 60);
const seed = Number(process.env['MODEL_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

describe.each(Object.entries(stores))('%s', (name, url) => {
  describe.skipIf(url === undefined)('keeps to the model', () => {
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

    it(
      `in ${numRuns} sequences (seed ${seed})`,
      async () => {
        await fc.assert(
          fc.asyncProperty(commands, async (sequence) => {
            const model = new Model();
            const keyPrefix = randomUUID();
            const real: Real = { store, held: new Map(), stale: [], tokens: 0, keyPrefix };
            try {
              await fc.asyncModelRun(() => ({ model, real }), sequence);
              await conserved(model, real);
            } finally {
              await store.clear();
            }
          }),
          { numRuns, seed, endOnFailure: false },
        );
        expect(name).toBeTruthy();
      },
      numRuns * 2_000 + 60_000,
    );
  });
});
