/**
 * The store against a model of it: random sequences of accept, claim, heartbeat, complete, fail, crash, hand back, cancel,
 * redrive, discard, leases that end, sweeps, ticks of a schedule and restarts of the server, from two processes. `MODEL_RUNS` says how many sequences (default 60); a failure prints
 * its seed and path.
 */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { commands, conserved } from './commands.ts';
import { Model } from './model.ts';
import type { Real } from './real.ts';
import { numRuns, onEveryStore, seed, timeoutMs } from './stores.ts';

onEveryStore('keeps to the model', (opened) => {
  it(
    `in ${numRuns} sequences (seed ${seed})`,
    async () => {
      const store = opened();
      let kept = 0;
      let firstSlot = 0;
      await fc.assert(
        fc.asyncProperty(commands, async (sequence) => {
          const model = new Model(store.restart !== undefined);
          firstSlot += 60_000;
          const real: Real = { store, held: new Map(), stale: [], tokens: 0, keyPrefix: randomUUID(), firstSlot };
          try {
            await fc.asyncModelRun(() => ({ model, real }), sequence);
            await conserved(model, real);
            kept += 1;
          } finally {
            await store.clear();
          }
        }),
        { numRuns, seed, endOnFailure: false },
      );
      expect(kept).toBe(numRuns);
    },
    timeoutMs,
  );
});
