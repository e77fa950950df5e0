/**
 * One job, several claimers, a lease that is lost at any point: whatever the order of their steps, one end is accepted and
 * the effect happens once. `MODEL_RUNS` orders (default 60); a failure prints its seed and the order of the steps.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineJob } from '../../jobs/define.ts';
import { createOnce } from '../../workers/services/once.ts';
import { openStore, type Side, type Store } from './real.ts';
import { stores } from './stores.ts';

const numRuns = Number(process.env['MODEL_RUNS'] ?? 60);
const seed = Number(process.env['MODEL_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

/** Where effects arrive: messages that cannot be taken back, and rows of a table of the handler's own. */
class Receiver {
  readonly sends: string[] = [];
  /** Written where the fence is not older and nothing has left its mark. */
  readonly rows: number[] = [];
  #fence = 0;

  send(by: string): void {
    this.sends.push(by);
  }

  write(fence: number): void {
    if (fence < this.#fence) return;
    this.#fence = fence;
    if (this.rows.length === 0) this.rows.push(fence);
  }
}

describe.each(Object.entries(stores))('%s', (name, url) => {
  describe.skipIf(url === undefined)('two claimers of one job', () => {
    let store: Store;
    beforeAll(async () => {
      const type = defineJob({
        name: `race-${Math.random().toString(36).slice(2, 8)}`,
        summary: 'A job that two want.',
        payload: z.strictObject({ n: z.number() }),
        result: z.unknown(),
      });
      store = await openStore(url ?? '', type);
    });
    afterAll(async () => {
      await store.clear();
      await store.close();
    });

    interface Race {
      readonly receiver: Receiver;
      readonly ends: string[];
      /** What became of reports of runs that had lost their claim. */
      readonly late: string[];
      readonly step: (label: string) => Promise<unknown>;
    }

    /** What an attempt does, step by step; between two steps anything may happen. */
    async function attempt(side: Side, token: string, { receiver, ends, late, step }: Race): Promise<boolean> {
      await step(`${token} claims`);
      const job = await side.worker.getNextJob(token, { block: false });
      if (job === undefined) return false;
      const fence = job.attemptsStarted;
      const once = createOnce(side.backend.records, { queue: store.type.name, id: String(job.id), fence });
      try {
        await step(`${token} writes`);
        receiver.write(fence);
        await step(`${token} begins`);
        const answer = await once.begin('push', 'skip');
        if (answer.state === 'run') {
          await step(`${token} sends`);
          receiver.send(token);
          await step(`${token} confirms`);
          await once.end('push', { by: token });
        }
        await step(`${token} ends`);
        await job.moveToCompleted({ by: token }, token, false);
        ends.push(token);
      } catch {
        // The claim was lost: whatever this run still reports is refused.
        late.push(
          await job.moveToFailed(new Error('dead'), token, false).then(
            () => 'accepted',
            () => 'refused',
          ),
        );
      }
      return true;
    }

    it(
      `end it once, with one effect, in ${numRuns} orders (seed ${seed})`,
      async () => {
        await fc.assert(
          fc.asyncProperty(fc.scheduler(), fc.integer({ min: 1, max: 3 }), async (scheduler, losses) => {
            const { client } = store.sides[0];
            const { id } = await client.enqueue(store.type, { n: 1 });
            const receiver = new Receiver();
            const ends: string[] = [];
            const step = (label: string) => scheduler.schedule(Promise.resolve(), label);
            const late: string[] = [];
            const race: Race = { receiver, ends, late, step };
            const runners = ['a', 'b', 'c'].map((token, index) =>
              attempt(store.sides[index % 2] ?? store.sides[0], token, race),
            );
            const sweeper = (async () => {
              for (let loss = 1; loss <= losses; loss += 1) {
                await step(`lease lost ${loss}`);
                await store.loseLease(id);
              }
            })();
            await scheduler.waitFor(Promise.all([...runners, sweeper]));
            // Whoever comes last finds it done, or does it.
            const free: Race = { ...race, step: () => Promise.resolve() };
            await store.loseLease(id);
            await attempt(store.sides[1], 'last', free);
            const status = await client.status(id);
            expect({ ends: ends.length, rows: receiver.rows.length, status: status?.status }).toEqual({
              ends: 1,
              rows: 1,
              status: 'completed',
            });
            expect(late).not.toContain('accepted');
            expect(status?.result).toEqual({ by: ends[0] });
            expect(receiver.sends.length).toBeLessThanOrEqual(1);
            await store.clear();
          }),
          { numRuns, seed },
        );
        expect(name).toBeTruthy();
      },
      numRuns * 2_000 + 60_000,
    );
  });
});
