/**
 * One job, several claimers, a lease that is lost at any point: whatever the order of their steps, one end is accepted and
 * the effect happens once. `MODEL_RUNS` orders (default 60); a failure prints its seed and the order of the steps.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createOnce } from '../../workers/services/once.ts';
import type { Side, Store } from './real.ts';
import { numRuns, onEveryStore, seed, timeoutMs } from './stores.ts';

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

onEveryStore('two claimers of one job', (opened) => {
  interface Race {
    readonly receiver: Receiver;
    readonly ends: string[];
    /** What became of reports of runs that had lost their claim. */
    readonly late: string[];
    readonly step: (label: string) => Promise<unknown>;
  }

  /** What an attempt does, step by step; between two steps anything may happen. */
  async function attempt(
    store: Store,
    side: Side,
    token: string,
    { receiver, ends, late, step }: Race,
  ): Promise<boolean> {
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
      const store = opened();
      let raced = 0;
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
            attempt(store, store.sides[index % 2] ?? store.sides[0], token, race),
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
          await attempt(store, store.sides[1], 'last', free);
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
          raced += 1;
        }),
        { numRuns, seed },
      );
      expect(raced).toBe(numRuns);
    },
    timeoutMs,
  );
});
