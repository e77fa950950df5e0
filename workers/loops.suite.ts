/** Claim loops over a real store whose claims stop returning, one after the other or for good. */
import { randomBytes } from 'node:crypto';
import type { Job as StoredJob } from 'bullmq';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { Backend } from '../backends/backend.ts';
import { openBackend } from '../backends/open.ts';
import { defineJob } from '../jobs/define.ts';
import { parseClaim } from './claim.ts';
import { createLoops, type Loops } from './loops.ts';
import type { Loop, ReviveParts } from './revive.ts';
import { createRunning } from './running.ts';
import type { Held } from './worker.ts';

let backend: Backend;

const blockMs = 200;
const silenceMs = 600;

/** One queue's loops, the first `deaf` of which stop asking when `hang` is called. */
function stage(deaf: number, own: Partial<ReviveParts> = {}) {
  const name = `loop-${randomBytes(4).toString('hex')}`;
  const job = defineJob({ name, summary: 'Loops.', payload: z.unknown(), result: z.unknown() });
  const held = new Set<Held>();
  const seen = { rebuilt: [] as string[], stuck: [] as string[], opened: 0 };
  let isRunning = (): boolean => false;
  let isHung = false;
  // As a command over a connection that is gone without a word: it ends when that is cut.
  const never = new Promise<never>((_resolve, reject) => cuts.push(() => reject(new Error('the connection was cut'))));
  never.catch(() => undefined);
  let work: (id: string) => Promise<unknown> = async () => undefined;
  const processor = async (stored: StoredJob, token = ''): Promise<unknown> => {
    const one: Held = { running: createRunning(parseClaim(stored, job)), token, graceMs: 100 };
    held.add(one);
    try {
      return await work(stored.id ?? '');
    } finally {
      held.delete(one);
    }
  };
  const loop: Loop = {
    name,
    concurrency: 2,
    open: () => {
      seen.opened += 1;
      const isDeaf = seen.opened <= deaf;
      const { worker, watch } = backend.worker(name, processor, { concurrency: 2, leaseMs: 30_000, backoff: () => 1 });
      isRunning = () => worker.isRunning();
      const store = worker.getBackend();
      const [claim, waitFor] = [store.moveToActive.bind(store), store.waitForJob.bind(store)];
      store.moveToActive = (...more) => (isHung && isDeaf ? never : claim(...more));
      store.waitForJob = () => (isHung && isDeaf ? never : waitFor(blockMs / 1_000));
      return { worker, watch: { ...watch, blockMs } };
    },
  };
  const loops = createLoops({
    held,
    ping: () => backend.ping(),
    onError: (_queue, error) => {
      throw error;
    },
    onRebuilt: (reason) => seen.rebuilt.push(reason),
    onStuck: (reason) => seen.stuck.push(reason),
    silenceMs,
    checkEveryMs: 20,
    ...own,
  });
  open.push(loops);
  loops.add(loop);
  loops.setClaiming(true);
  return {
    loops,
    seen,
    hang: () => {
      isHung = true;
    },
    /** BullMQ's own loop has not come to its end. */
    isRunning: () => isRunning(),
    works: (next: typeof work) => {
      work = next;
    },
    add: async (id: string) => {
      await backend.queue(name).add(name, {}, { jobId: id });
      return id;
    },
    isDone: (id: string) =>
      vi.waitFor(async () => expect(await backend.queue(name).getJobState(id)).toBe('completed'), 10_000),
  };
}

const open: Loops[] = [];
const cuts: (() => void)[] = [];
export function loopTests(store: string, url: string): void {
  describe(`a claim loop on ${store}`, () => {
    beforeAll(async () => {
      backend = await openBackend(url, { onError: () => undefined });
    });
    afterAll(() => backend.close());
    afterEach(async () => {
      for (const loops of open.splice(0)) {
        await loops.drain(0, 0);
        for (const cut of cuts.splice(0)) cut();
        await loops.close(5_000);
      }
    });

    it('that stopped asking is rebuilt, once, and its queue goes on', async () => {
      const { loops, seen, hang, add, isDone } = stage(1);
      await isDone(await add('before'));
      hang();
      await isDone(await add('after'));
      expect(seen).toMatchObject({
        rebuilt: [expect.stringMatching(/^The claim loop of loop-\w+ has had/)],
        stuck: [],
      });
      expect(loops.silent()).toBeUndefined();
    });

    it('that stops asking again ends the process, and says so once', async () => {
      const { loops, seen, hang, add, isDone } = stage(2);
      await isDone(await add('before'));
      hang();
      await vi.waitFor(() => expect(seen.stuck).toHaveLength(1), 10_000);
      expect(loops.silent()).toMatch(/no answer from the store/);
      expect([seen.rebuilt.length, seen.opened]).toEqual([1, 2]);
      const before = Date.now();
      await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(before + 3 * silenceMs), 10_000);
      expect(seen.stuck).toHaveLength(1);
    });

    it('is left alone while the store answers nobody', async () => {
      let pings = 0;
      const { loops, seen, hang, add, isDone } = stage(9, {
        ping: async () => {
          pings += 1;
          throw new Error('down');
        },
      });
      await isDone(await add('before'));
      hang();
      await vi.waitFor(() => expect(pings).toBeGreaterThan(3), 10_000);
      expect([loops.silent(), seen.rebuilt, seen.stuck]).toEqual([undefined, [], []]);
    });

    it('that is replaced lets its running attempts finish', async () => {
      const { seen, hang, works, add, isDone } = stage(1);
      let finish: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => {
        finish = resolve;
      });
      const started: string[] = [];
      works(async (id) => {
        started.push(id);
        if (id === 'slow') await gate;
      });
      await add('slow');
      await vi.waitFor(() => expect(started).toEqual(['slow']), 10_000);
      hang();
      await isDone(await add('next'));
      expect(seen.rebuilt).toHaveLength(1);
      finish();
      await isDone('slow');
      expect(started).toEqual(['slow', 'next']);
    });

    it('that had come to its end in a pause claims again after it', async () => {
      const { loops, seen, isRunning, add, isDone } = stage(0);
      await isDone(await add('before'));
      loops.setClaiming(false);
      await vi.waitFor(() => expect(isRunning()).toBe(false), 10_000);
      await add('after');
      loops.setClaiming(true);
      await isDone('after');
      expect(seen).toMatchObject({ opened: 1, rebuilt: [] });
    });

    it('is not watched while it is paused, nor with all its slots taken', async () => {
      const { loops, seen, hang, works, add } = stage(9);
      let started = 0;
      let finish: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => {
        finish = resolve;
      });
      works(() => {
        started += 1;
        return gate;
      });
      await Promise.all([add('one'), add('two')]);
      await vi.waitFor(() => expect(started).toBe(2), 10_000);
      hang();
      const before = Date.now();
      await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(before + 2 * (silenceMs + blockMs)), 10_000);
      expect([loops.silent(), seen.rebuilt]).toEqual([undefined, []]);
      loops.setClaiming(false);
      finish();
      await vi.waitFor(() => expect(loops.samples()).toMatchObject([{ active: 0 }]), 10_000);
      expect([loops.silent(), seen.rebuilt]).toEqual([undefined, []]);
    });
  });
}
